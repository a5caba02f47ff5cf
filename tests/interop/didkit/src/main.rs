//! didkit (ssi 0.7) verifies what stands on the standard input, and makes the same for the other side.
//!
//! Input: `{credential, good: {<name>: credential}, bad: {<name>: credential}}`, VCDM 1.1, by did:key. Output:
//! `{accepted: {<name>: true or why not}, refused: {<name>: bool}, made: {<name>: credential or JWT}}`.

use didkit::{
    ContextLoader, LinkedDataProofOptions, ProofPreparation, Source, VerifiableCredential, DID_METHODS, JWK, URI,
};
use serde_json::{json, Map, Value};

type Error = Box<dyn std::error::Error>;

async fn verify(credential: &Value) -> Result<bool, Error> {
    let credential: VerifiableCredential = serde_json::from_value(credential.clone())?;
    let mut contexts = ContextLoader::default();
    let result = credential.verify(None, DID_METHODS.to_resolver(), &mut contexts).await;
    if result.errors.is_empty() { Ok(true) } else { Err(result.errors.join("; ").into()) }
}

async fn make(unsigned: &Value, jwt: bool) -> Result<Value, Error> {
    let key = JWK::generate_ed25519()?;
    let did = DID_METHODS.generate(&Source::KeyAndPattern(&key, "key")).ok_or("no DID for the key")?;
    let fragment = did.strip_prefix("did:key:").ok_or("no did:key")?.to_owned();
    let mut unsigned = unsigned.clone();
    unsigned["issuer"] = json!(did);
    let mut credential: VerifiableCredential = serde_json::from_value(unsigned)?;
    let options = LinkedDataProofOptions {
        verification_method: Some(URI::String(format!("{did}#{fragment}"))),
        ..serde_json::from_value(json!({"type": "Ed25519Signature2020"}))?
    };
    let resolver = DID_METHODS.to_resolver();
    if jwt {
        let options = LinkedDataProofOptions { type_: None, ..options };
        return Ok(Value::String(credential.generate_jwt(Some(&key), &options, resolver).await?));
    }
    let mut contexts = ContextLoader::default();
    let proof = credential.generate_proof(&key, &options, resolver, &mut contexts).await?;
    credential.add_proof(proof);
    Ok(serde_json::to_value(credential)?)
}

async fn run() -> Result<(), Error> {
    let input: Value = serde_json::from_reader(std::io::stdin())?;
    let (mut accepted, mut refused) = (Map::new(), Map::new());
    for (name, credential) in input["good"].as_object().into_iter().flatten() {
        let result = verify(credential).await;
        accepted.insert(name.clone(), result.map_or_else(|error| error.to_string().into(), Value::Bool));
    }
    for (name, credential) in input["bad"].as_object().into_iter().flatten() {
        refused.insert(name.clone(), verify(credential).await.is_err().into());
    }
    let made = json!({
        "Ed25519Signature2020": make(&input["credential"], false).await?,
        "JWT VC 1.1": make(&input["credential"], true).await?,
    });
    println!("{}", json!({"accepted": accepted, "refused": refused, "made": made}));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run().await
}
