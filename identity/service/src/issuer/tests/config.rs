//! The home folder and its configuration.

use super::world;
use crate::issuer::config::{Config, Home};
use std::os::unix::fs::PermissionsExt as _;

type Change = fn(&mut Config);

fn config() -> Config {
    world::config("127.0.0.1:8100".parse().unwrap(), "127.0.0.1:8101".parse().unwrap())
}

#[test]
fn a_configuration_is_read_as_it_was_written_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home(folder.path().to_owned());
    assert_eq!(Config::read(&home).unwrap_err().exit_code(), 5);
    config().write_new(&home).unwrap();
    assert_eq!(Config::read(&home).unwrap(), config());
    assert!(config().write_new(&home).is_err());
    assert!(home.prepare().is_err(), "init makes nothing in a folder that is in use");
}

#[test]
fn values_that_cannot_work_are_named() {
    let cases: [(Change, &str); 19] = [
        (|config| config.public_url = "https://issuer.example/".to_owned(), "publicUrl"),
        (|config| config.public_url = "http://issuer.example".to_owned(), "publicUrl"),
        (|config| config.public_url = "https://issuer.example?a=b".to_owned(), "publicUrl"),
        (|config| config.public_url = "https://user@issuer.example".to_owned(), "publicUrl"),
        (|config| config.public_url = "https://issuer.example/{a}".to_owned(), "publicUrl"),
        (|config| config.public_url = "ftp://issuer.example".to_owned(), "publicUrl"),
        (|config| config.public_url = String::new(), "publicUrl"),
        (|config| config.admin_listen = config.listen, "adminListen"),
        (|config| config.registries[0].name = "No Name".to_owned(), "registry's name"),
        (|config| config.registries[1].purpose = "revocation".to_owned(), "purpose of its own"),
        (|config| drop(config.registries.remove(0)), "purpose revocation"),
        (|config| config.database = Some("mysql://localhost/a".to_owned()), "database"),
        (|config| config.registries[0].size = 1_000, "registry"),
        (|config| config.registries[1].size = u32::MAX, "registry"),
        (|config| config.credential.credential_type = "no name".to_owned(), "credentialType"),
        (|config| config.credential.validity_days = 0, "validityDays"),
        (|config| config.credential.validity_days = u32::MAX, "validityDays"),
        (|config| config.credential.offer_minutes = 0, "offerMinutes"),
        (|config| config.credential.offer_minutes = u32::MAX, "offerMinutes"),
    ];
    for (change, named) in cases {
        let mut config = config();
        change(&mut config);
        let reason = config.validate().unwrap_err();
        assert!(reason.contains(named), "{named}: {reason}");
        let folder = tempfile::tempdir().unwrap();
        let home = Home(folder.path().to_owned());
        config.write_new(&home).unwrap();
        assert_eq!(Config::read(&home).unwrap_err().exit_code(), 1);
    }
    assert_eq!(config().validate(), Ok(()));
}

#[test]
fn unknown_members_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home(folder.path().to_owned());
    let text = serde_json::to_string(&config()).unwrap().replacen('{', r#"{"listn":1,"#, 1);
    std::fs::write(home.config(), text).unwrap();
    assert!(Config::read(&home).unwrap_err().to_string().contains("listn"));
}

#[test]
fn a_token_that_guards_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home(folder.path().to_owned());
    let write = |text: &str, mode| {
        std::fs::write(home.admin_token(), text).unwrap();
        std::fs::set_permissions(home.admin_token(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for text in ["", "\n", "short", "with spaces in between it is one"] {
        write(text, 0o600);
        assert_eq!(home.read_admin_token().unwrap_err().exit_code(), 1, "{text}");
    }
    write("a-token-that-is-long-enough\n", 0o644);
    assert_eq!(home.read_admin_token().unwrap_err().exit_code(), 4);
    write("a-token-that-is-long-enough\n", 0o600);
    assert_eq!(home.read_admin_token().unwrap(), "a-token-that-is-long-enough");
}

#[test]
fn the_public_path_is_that_of_the_public_url() {
    let mut config = config();
    config.public_url = "https://issuer.example".to_owned();
    assert_eq!(config.public_path(), "");
    config.public_url = "https://issuer.example/a/b".to_owned();
    assert_eq!(config.public_path(), "/a/b");
    assert_eq!(config.list_uri("membership"), "https://issuer.example/a/b/status/membership");
}
