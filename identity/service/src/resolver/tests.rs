//! What needs no running program.

use super::config::Config;
use super::metrics::Counters;
use super::public;
use crate::hosts::HostConfig;
use prometheus_client::registry::Registry;

#[test]
fn the_description_of_the_interface_is_up_to_date() {
    let copy = "../../specs/openapi/aval-identityd-resolver.json";
    let text = public::openapi_json();
    let described: serde_json::Value = serde_json::from_str(&text).unwrap();
    for path in
        ["/1.0/identifiers/{identifier}", "/1.0/methods", "/1.0/create", "/1.0/update", "/1.0/deactivate"]
    {
        assert!(described["paths"].get(path).is_some(), "{path}");
    }
    // What stands in braces in a path is the name of a parameter of each of its operations.
    for (path, operations) in described["paths"].as_object().unwrap() {
        let wanted = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        for name in wanted {
            for operation in operations.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(parameters.iter().any(|one| one["in"] == "path" && one["name"] == name), "{path}");
            }
        }
    }
    if std::env::var_os("AVAL_GENERATE").is_some() {
        std::fs::write(copy, &text).unwrap();
    }
    let kept = std::fs::read_to_string(copy).unwrap_or_default();
    assert!(kept == text, "{copy} is not up to date: run this test with AVAL_GENERATE=1");
}

#[test]
fn a_configuration_names_hosts_and_authorities_that_are_ones() {
    let config = |host: &str, roots: Option<&str>| Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        node: "http://127.0.0.1:1".to_owned(),
        registrar: false,
        allowed_hosts: vec![HostConfig { host: host.to_owned(), roots: roots.map(str::to_owned) }],
    };
    assert_eq!(config("status.example:8443", None).validate(), Ok(()));
    assert_eq!(config("127.0.0.1", None).validate(), Ok(()));
    for host in ["", "https://status.example", "status.example/a", "a b", "*.example"] {
        assert!(config(host, None).validate().unwrap_err().contains("allowedHosts"), "{host}");
    }
    assert!(
        config("status.example", Some("no certificate")).validate().unwrap_err().contains("allowedHosts")
    );
}

#[test]
fn errors_are_counted_under_few_names_whatever_a_node_says() {
    let mut registry = Registry::default();
    let counters = Counters::register(&mut registry);
    for number in 0..10_000 {
        counters.error("resolve", &format!("made.up.{number}"));
    }
    counters.error("resolve", &"x".repeat(10_000));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.lines().count() < 300 && text.len() < 50_000, "{} lines", text.lines().count());
    assert!(text.contains("error=\"other\""));
}
