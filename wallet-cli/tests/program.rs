//! The program without any network: the vault, offline proofs, usage, exit codes.

mod harness;
#[path = "../../ledger/client/tests/support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::{PASSPHRASE, Ran, Wallet, text};
use serde_json::{Value, json};
use support::FakeLedger;
use support::server::proof_json;

#[test]
fn a_vault_is_made_once_and_shows_its_words_once() {
    let wallet = Wallet::new();
    let made = wallet.run(&["vault", "create"]).expect(0);
    let words = made.json()["words"].as_array().unwrap().len();
    assert_eq!(words, 24);
    let first = made.json()["words"][0].as_str().unwrap().to_owned();
    assert!(!made.stderr.contains(&format!(" {first} ")));
    let file = wallet.path("home/vault");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    assert_eq!(wallet.run(&["vault", "create"]).expect(1).error_code(), "vault.exists");
    assert_eq!(fs::read(&file).unwrap(), before);
    let shown = wallet.run(&["vault", "show"]).expect(0).json();
    assert_eq!((&shown["credentials"], &shown["words"]), (&json!(0), &Value::Null));
}

#[test]
fn the_words_can_go_to_a_file_instead() {
    let wallet = Wallet::new();
    let file = wallet.path("words");
    let made = wallet.run(&["vault", "create", "--words-file", text(&file)]).expect(0);
    assert_eq!(made.json()["words"], Value::Null);
    assert_eq!(fs::read_to_string(&file).unwrap().split_whitespace().count(), 24);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // A file that is there is not overwritten, and then there is no vault either.
    let other = Wallet::new();
    let made = other.run(&["vault", "create", "--words-file", text(&file)]).expect(1);
    assert_eq!(made.error_code(), "io");
    assert!(!other.path("home/vault").exists());
}

#[test]
fn a_wrong_passphrase_exits_with_4_and_says_nothing_of_it() {
    let wallet = Wallet::new();
    wallet.run(&["vault", "create"]).expect(0);
    fs::write(wallet.path("other"), "a wrong passphrase\n").unwrap();
    let other = wallet.path("other");
    let refused = wallet.run(&["vault", "show", "--passphrase-file", text(&other)]).expect(4);
    assert_eq!(refused.error_code(), "vault.passphrase");
    assert!(!refused.stderr.contains("wrong passphrase") && !refused.stderr.contains(PASSPHRASE));
}

#[test]
fn without_a_terminal_or_a_file_there_is_no_passphrase() {
    let wallet = Wallet::new();
    wallet.run(&["vault", "create"]).expect(0);
    let refused = wallet.run_with(&["vault", "show", "--json"], &[]).expect(4);
    assert_eq!(refused.error_code(), "vault.no_passphrase");
    // The environment names a file and never holds the passphrase itself.
    let refused = wallet.run_with(&["vault", "show", "--json"], &[("AVAL_PASSPHRASE_FILE", PASSPHRASE)]);
    assert_eq!(refused.expect(1).error_code(), "vault.io");
}

#[test]
fn no_vault_exits_with_5_and_a_damaged_one_with_1() {
    let wallet = Wallet::new();
    assert_eq!(wallet.run(&["did", "list"]).expect(5).error_code(), "vault.not_found");
    wallet.run(&["vault", "create"]).expect(0);
    let file = wallet.path("home/vault");
    let mut bytes = fs::read(&file).unwrap();
    bytes[70] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(wallet.run(&["did", "list"]).expect(1).error_code(), "vault.damaged");
}

#[test]
fn a_vault_that_another_process_holds_is_worth_a_later_try() {
    let wallet = Wallet::new();
    fs::create_dir(wallet.path("home")).unwrap();
    let lock = fs::File::create(wallet.path("home/vault.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(wallet.run(&["vault", "create"]).expect(6).error_code(), "vault.locked");
    drop(lock);
    wallet.run(&["vault", "create"]).expect(0);
}

#[test]
fn mistakes_in_usage_exit_with_2() {
    let wallet = Wallet::new();
    let mistakes: [&[&str]; 10] = [
        &[],
        &["unknown"],
        &["did"],
        &["did", "resolve"],
        &["did", "resolve", "did:web:example.com"],
        &["did", "resolve", "did:aval:test:x"],
        &["did", "create", "--credential", "a", "--endorser", "b"],
        &["did", "create", "--service", "no-equals-sign"],
        &["network", "add"],
        &["tx", "status", "not-an-id"],
    ];
    for arguments in mistakes {
        wallet.run_as_is(arguments).expect(2);
    }
    wallet.run_as_is(&["--help"]).expect(0);
    wallet.run_as_is(&["--version"]).expect(0);
    wallet.run_as_is(&["did", "create", "--help"]).expect(0);
    assert!(wallet.run_as_is(&["completion", "bash"]).expect(0).stdout.contains("deactivate"));
}

#[test]
fn no_argument_takes_a_passphrase_or_words() {
    let wallet = Wallet::new();
    for command in [&["vault", "create", "--help"][..], &["vault", "show", "--help"], &["--help"]] {
        let help = wallet.run_as_is(command).expect(0).stdout.to_lowercase();
        assert!(!help.contains("--passphrase <") && !help.contains("--words <") && !help.contains("--seed"));
    }
}

#[test]
fn empty_lists_are_data_on_stdout_and_talk_is_not() {
    let wallet = Wallet::new();
    wallet.run(&["vault", "create"]).expect(0);
    for command in [["credential", "list"], ["did", "list"], ["tx", "list"], ["network", "list"]] {
        let listed = wallet.run(&command).expect(0);
        assert_eq!((listed.json(), listed.stderr.as_str()), (json!([]), ""));
    }
    let human = wallet.run_as_is(&["did", "list"]).expect(0);
    assert!(human.stdout.contains("aval did create") && !human.stdout.contains('\u{1b}'));
}

#[test]
fn what_is_not_there_exits_with_5() {
    let wallet = Wallet::new();
    wallet.run(&["vault", "create"]).expect(0);
    wallet.run(&["credential", "show", "abc"]).expect(5);
    wallet.run(&["network", "use", "nowhere"]).expect(5);
    wallet.run(&["network", "show"]).expect(5);
    wallet.run(&["proof", "verify", "/no/such/file"]).expect(5);
}

struct Offline {
    wallet: Wallet,
    ledger: FakeLedger,
}

impl Offline {
    fn new() -> Self {
        let (wallet, ledger) = (Wallet::new(), FakeLedger::new());
        fs::write(wallet.path("genesis.json"), &ledger.genesis).unwrap();
        Self { wallet, ledger }
    }

    fn proof(&self) -> Value {
        proof_json(&self.ledger.state_proof(&format!("did/{}", self.ledger.issuer), 1))
    }

    fn verify(&self, proof: &[u8]) -> Ran {
        let (file, genesis) = (self.wallet.path("proof.json"), self.wallet.path("genesis.json"));
        fs::write(&file, proof).unwrap();
        self.wallet.run(&["proof", "verify", text(&file), "--genesis", text(&genesis)])
    }
}

#[test]
fn a_proof_is_verified_offline() {
    let offline = Offline::new();
    let verdict = offline.verify(offline.proof().to_string().as_bytes()).expect(0).json();
    assert_eq!(
        (&verdict["valid"], &verdict["height"], &verdict["signatures"]),
        (&json!(true), &json!(1), &json!(3))
    );
    assert_eq!(verdict["proves"]["value"]["did"], json!(offline.ledger.issuer.to_string()));
    let absent = proof_json(&offline.ledger.state_proof("did/none", 1));
    let verdict = offline.verify(absent.to_string().as_bytes()).expect(0).json();
    assert_eq!(verdict["proves"]["present"], json!(false));
}

#[test]
fn a_proof_that_does_not_hold_exits_with_3_and_says_why() {
    let offline = Offline::new();
    let mut proof = offline.proof();
    proof["certificate"]["signers"] = json!([0, 1, 2]);
    let refused = offline.verify(proof.to_string().as_bytes()).expect(3);
    assert_eq!(
        (&refused.json()["valid"], &refused.json()["code"]),
        (&json!(false), &json!("proof.certificate"))
    );
    let mut proof = offline.proof();
    proof["state"]["value"] = json!("e30");
    assert_eq!(offline.verify(proof.to_string().as_bytes()).expect(3).json()["code"], json!("proof.state"));
    // Under another genesis nothing of this network holds.
    fs::write(offline.wallet.path("genesis.json"), FakeLedger::with_seed(20).genesis).unwrap();
    let refused = offline.verify(offline.proof().to_string().as_bytes()).expect(3);
    assert_eq!(refused.json()["code"], json!("proof.network"));
}

#[test]
fn what_is_no_proof_at_all_exits_with_1() {
    let offline = Offline::new();
    for nonsense in [&b"{}"[..], b"", b"not json", b"[1,2]"] {
        offline.verify(nonsense).expect(1);
    }
}

#[test]
fn no_single_change_of_a_proof_is_accepted() {
    let offline = Offline::new();
    let proof = offline.proof().to_string().into_bytes();
    // Every 37th byte here, to keep the number of processes small; `aval-proof` tries them all.
    for index in (0..proof.len()).step_by(37) {
        let mut changed = proof.clone();
        changed[index] ^= 1;
        let ran = offline.verify(&changed);
        assert!(matches!(ran.code, 1 | 3), "byte {index}: {ran:?}");
    }
}

#[test]
fn a_network_is_pinned_by_the_hash_of_its_genesis() {
    let offline = Offline::new();
    let (wallet, genesis) = (&offline.wallet, offline.wallet.path("genesis.json"));
    let add = |more: &[&str]| {
        let mut arguments =
            vec!["network", "add", "--genesis", text(&genesis), "--node", "https://node.example"];
        arguments.extend(more);
        wallet.run(&arguments)
    };
    let hash = offline.ledger.network.genesis().to_string();
    assert_eq!(add(&["--expect", &"0".repeat(64)]).expect(3).error_code(), "genesis.hash");
    add(&["--expect", "12"]).expect(2);
    let added = add(&["--expect", &hash]).expect(0).json();
    assert_eq!((&added["name"], &added["genesis"]), (&json!("test"), &json!(hash)));
    assert_eq!(wallet.run(&["network", "show"]).expect(0).json()["checkpoint"], Value::Null);
    assert_eq!(wallet.run(&["network", "list"]).expect(0).json()[0]["default"], json!(true));
    let printed = wallet.run_as_is(&["network", "genesis"]).expect(0).stdout;
    assert_eq!(printed.into_bytes(), offline.ledger.genesis);
    // Another genesis under the same name is refused, and so is a pinned file that somebody changed.
    fs::write(&genesis, FakeLedger::with_seed(20).genesis).unwrap();
    add(&[]).expect(1);
    fs::write(wallet.path("home/networks/test/genesis.json"), FakeLedger::with_seed(20).genesis).unwrap();
    wallet.run(&["network", "show"]).expect(1);
    // An address that would show what is sent is refused at once.
    add(&["--name", "other", "--node", "http://node.example"]).expect(2);
}
