//! `did:web`.

use std::time::Duration;

use aval_client::web::{WebClient, WebOptions};
use aval_resolver::{CacheBounds, Options, Resolver, Version};
use serde_json::{Value, json};

use crate::host::{File, Host};
use crate::world::{World, ask, body, error, refused};

fn document(did: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "verificationMethod": [{
            "id": "#key-1", "type": "Multikey", "controller": did,
            "publicKeyMultibase": "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
        }],
        "assertionMethod": ["#key-1"],
        "service": [{"id": "#hub", "type": "LinkedDomains", "serviceEndpoint": "https://hub.example/a/"}],
    })
}

fn put(host: &Host, path: &str, did: &str, change: impl FnOnce(&mut Value)) {
    let mut document = document(did);
    change(&mut document);
    host.put(path, File::new(document.to_string()));
}

#[test]
fn a_document_is_read_from_the_place_that_its_did_names() {
    let world = World::new();
    for (id, path) in [("", "/.well-known/did.json"), (":dids:one", "/dids/one/did.json")] {
        let did = format!("did:web:{}{id}", world.host.encoded());
        put(&world.host, path, &did, |_| {});
        let answer = world.get(&did.replace('%', "%25"));
        assert_eq!(answer.status, 200, "{}", body(&answer));
        assert_eq!(body(&answer)["didDocument"], document(&did));
        assert_eq!(body(&answer).get("proof"), None);
    }
}

#[test]
fn relative_urls_are_made_absolute_on_request() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    put(&world.host, "/.well-known/did.json", &did, |_| {});
    let encoded = did.replace('%', "%25");
    let expanded = body(&world.get(&format!("{encoded}?expandRelativeUrls=true")));
    assert_eq!(expanded["didDocument"]["verificationMethod"][0]["id"], format!("{did}#key-1"));
    assert_eq!(expanded["didDocument"]["assertionMethod"], json!([format!("{did}#key-1")]));
    assert_eq!(expanded["didDocument"]["service"][0]["id"], format!("{did}#hub"));
    assert_eq!(body(&world.get(&encoded))["didDocument"]["verificationMethod"][0]["id"], "#key-1");
    // A fragment finds the method either way.
    let method = body(&world.get_as(&format!("{encoded}%23key-1"), "application/did"));
    assert_eq!(method["publicKeyMultibase"], document(&did)["verificationMethod"][0]["publicKeyMultibase"]);
}

#[test]
fn a_document_that_breaks_a_rule_is_not_answered() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    let changes: [(&str, fn(&mut Value)); 10] = [
        ("another id", |document| document["id"] = json!("did:web:other.example")),
        ("no id", |document| drop(document.as_object_mut().unwrap().remove("id"))),
        ("methods are no list", |document| document["verificationMethod"] = json!({})),
        ("a method is a text", |document| document["verificationMethod"] = json!(["#key-1"])),
        ("a method has a controller that is no text", |document| {
            document["verificationMethod"][0]["controller"] = json!([]);
        }),
        ("a method holds a private key", |document| {
            document["verificationMethod"][0]["privateKeyMultibase"] = json!("z");
        }),
        ("a relationship names nothing", |document| document["assertionMethod"] = json!([7])),
        ("a reference is no DID URL", |document| document["assertionMethod"] = json!(["https://a.example/"])),
        ("a service has no endpoint", |document| document["service"] = json!([{"id": "#a", "type": "b"}])),
        ("two methods have one id", |document| {
            let method = document["verificationMethod"][0].clone();
            document["verificationMethod"] = json!([method, method]);
        }),
    ];
    let encoded = format!("{}?noCache=true", did.replace('%', "%25"));
    for (what, change) in changes {
        put(&world.host, "/.well-known/did.json", &did, change);
        assert_eq!(error(&world.get(&encoded)), refused(500, "INVALID_DID_DOCUMENT"), "{what}");
    }
    for text in ["", "<html>", "[]", "{\"id\":\"a\",\"id\":\"b\"}"] {
        world.host.put("/.well-known/did.json", File::new(text));
        assert_eq!(error(&world.get(&encoded)), refused(500, "INVALID_DID_DOCUMENT"), "{text}");
    }
    let huge = document(&did).to_string() + &" ".repeat(200_000);
    world.host.put("/.well-known/did.json", File::new(huge));
    assert_eq!(error(&world.get(&encoded)), refused(500, "INVALID_DID_DOCUMENT"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    world.host.put("/.well-known/did.json", File::new(deep));
    assert_eq!(error(&world.get(&encoded)), refused(500, "INVALID_DID_DOCUMENT"));
}

#[test]
fn a_missing_file_is_decided_and_a_failing_host_is_not() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    let resolve = || world.resolver.resolve(&did, &Options { no_cache: true, ..Options::default() });
    for status in [404, 410] {
        world.host.put("/.well-known/did.json", File::status(status));
        let error = resolve().unwrap_err();
        assert!(error.is_decided() && error.code() == "NOT_FOUND", "{error:?}");
    }
    for status in [401, 429, 500, 503] {
        world.host.put("/.well-known/did.json", File::status(status));
        let error = resolve().unwrap_err();
        assert!(!error.is_decided() && error.code() == "web.status", "{error:?}");
        assert_eq!(error.kind().name(), "INTERNAL_ERROR");
    }
    let mut slow = File::new(document(&did).to_string());
    slow.delay = Duration::from_secs(4);
    world.host.put("/.well-known/did.json", slow);
    assert_eq!(resolve().unwrap_err().code(), "web.timeout");
}

#[test]
fn a_redirection_is_not_followed_wherever_it_leads() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    put(&world.host, "/elsewhere", &did, |_| {});
    for to in ["/elsewhere", "https://issuer.example/did.json", "http://169.254.169.254/latest/meta-data"] {
        let redirection = File::status(302).header(&format!("location: {to}"));
        world.host.put("/.well-known/did.json", redirection);
        let answer = world.get(&did.replace('%', "%25"));
        assert_eq!(error(&answer), refused(500, "INVALID_DID_DOCUMENT"), "{to}");
    }
    assert_eq!(world.host.asked(), 3);
}

#[test]
fn a_host_of_this_machine_is_asked_only_if_it_is_allowed_by_name_and_certified() {
    let host = Host::start();
    let did = format!("did:web:{}", host.encoded());
    put(&host, "/.well-known/did.json", &did, |_| {});
    let resolve = |options: WebOptions| {
        let resolver = Resolver::new(None, Some(WebClient::new(&options).unwrap()), CacheBounds::default());
        error(&ask(&resolver, &did.replace('%', "%25"), &[]))
    };
    assert_eq!(resolve(WebOptions::default()), refused(400, "INVALID_DID"));
    // Allowed, but certified by another authority than the one that may.
    let mut allowed = host.allowed();
    allowed.roots = Host::start().allowed().roots;
    let options = WebOptions { allowed: vec![allowed], ..WebOptions::default() };
    assert_eq!(resolve(options), refused(500, "INTERNAL_ERROR"));
    assert_eq!(host.asked(), 0);
}

#[test]
fn a_document_is_kept_for_as_long_as_its_host_says() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    let encoded = did.replace('%', "%25");
    put(&world.host, "/.well-known/did.json", &did, |_| {});
    for _ in 0..3 {
        assert_eq!(world.get(&encoded).status, 200);
    }
    assert_eq!(world.host.asked(), 1);
    assert_eq!(world.get(&format!("{encoded}?noCache=true")).status, 200);
    assert_eq!(world.host.asked(), 2);
    let file = File::new(document(&did).to_string()).header("cache-control: no-store");
    world.host.put("/.well-known/did.json", file);
    assert_eq!(world.get(&format!("{encoded}?noCache=true")).status, 200);
    // What is remembered from before may still be repeated; what must not be stored was not.
    let fresh = Resolver::new(None, Some(world.host.client()), CacheBounds::default());
    for asked in [4, 5] {
        assert_eq!(ask(&fresh, &encoded, &[]).status, 200);
        assert_eq!(world.host.asked(), asked);
    }
}

#[test]
fn a_did_web_has_no_past() {
    let world = World::new();
    let did = format!("did:web:{}", world.host.encoded());
    for version in [Version::Id("1".to_owned()), Version::Time(1)] {
        let error = world.resolver.resolve(&did, &Options { version, ..Options::default() }).unwrap_err();
        assert_eq!(error.code(), "FEATURE_NOT_SUPPORTED");
    }
    assert_eq!(world.host.asked(), 0);
}
