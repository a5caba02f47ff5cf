//! A stranger who knows the wire format but has no credential: `aval-example-stranger GENESIS.json NODE-URL`.
//!
//! It makes keys, signs a well-formed creation of a DID with them, names itself as its own endorser, and
//! submits that. Prints the code with which the node refuses; it is a failure of the network if the node does
//! not.

use anyhow::{Context, Result, bail};
use aval_client::{ClientError, ClientOptions, NodeClient, TrustedGenesis};
use aval_did::{Control, Create, Document, SigningKey, VerificationMethod};
use aval_types::action::DidCreate;
use aval_types::{Action, KeyId, SubmittedTransaction, TransactionBuilder};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(genesis), Some(node)) = (arguments.next(), arguments.next()) else {
        bail!("usage: aval-example-stranger GENESIS.json NODE-URL");
    };
    let genesis = std::fs::read(&genesis).with_context(|| format!("reading {genesis}"))?;
    let network = TrustedGenesis::parse(genesis)?.network().clone();
    let create = |control: &SigningKey, key: &SigningKey| {
        let document = Document {
            verification_method: vec![VerificationMethod::multikey("#key-1", &key.public())],
            authentication: vec!["#key-1".to_owned()],
            ..Document::default()
        };
        let control = Control::single(&control.public(), &SigningKey::generate().public());
        Create::new(network.label(), control, document)
    };
    let (control, key) = (SigningKey::generate(), SigningKey::generate());
    let operation = create(&control, &key)?;
    // Another DID that is on no ledger either vouches for it.
    let accomplice_key = SigningKey::generate();
    let accomplice = create(&SigningKey::generate(), &accomplice_key)?;

    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let controller = KeyId::new(operation.did.clone(), control.public());
    let endorser = KeyId::new(accomplice.did, accomplice_key.public());
    let action = Action::DidCreate(DidCreate { operation, grant: None });
    let transaction = TransactionBuilder::new(network, action, Uuid::new_v4(), now_s.saturating_sub(5))
        .controller(controller)
        .endorser(endorser)
        .sign(&[&control, &accomplice_key])?;

    let client = NodeClient::new(&node, &ClientOptions::default())?;
    match client.submit(&SubmittedTransaction::new(transaction, None)) {
        Err(ClientError::Refused(problem)) => println!("{}", problem.code),
        Err(other) => return Err(other.into()),
        Ok(id) => bail!("the node took {id}, though nobody vouches for it"),
    }
    Ok(())
}
