//! Nothing of a natural person reaches state, receipts or events (D16).

use aval_credential::Selection;
use aval_machine::testkit::{Draft, Kit};
use aval_types::Action;
use aval_types::action::{CredentialPresent, DidCreate};

/// Every byte that outlives the witness, as text.
fn kept(kit: &Kit, executed: &aval_machine::Executed) -> String {
    let mut text = String::new();
    for (key, value) in kit.state().entries() {
        text.push_str(&String::from_utf8_lossy(key));
        text.push_str(&String::from_utf8_lossy(value));
    }
    for receipt in &executed.receipt_bytes {
        text.push_str(&String::from_utf8_lossy(receipt));
    }
    text
}

#[test]
fn no_claim_no_disclosure_and_no_holder_key_is_written() {
    let mut kit = Kit::ready(1);
    let company = kit.company(1);
    // The holder's key of a further credential is a key of the DID in its own right, so leave it out of the document
    // and look for the key as the credential spells it.
    let first = kit.membership(&company);
    let second = kit.credential(&company, &["endorser", "member"]);
    let grant = Some(first.grant(&company.did));
    let create = Draft::new(&kit, Action::DidCreate(DidCreate { operation: company.inception(), grant }))
        .controllers(&company)
        .disclosing(&first, &Selection::Everything, &company.authentication)
        .submit();
    let created = kit.apply_block(&[kit.checked(create)]).unwrap();
    let present =
        Draft::new(&kit, Action::CredentialPresent(CredentialPresent { grant: second.grant(&company.did) }))
            .sender(&company)
            .disclosing(&second, &Selection::Everything, &company.authentication)
            .submit();
    let presented = kit.apply_block(&[kit.checked(present)]).unwrap();
    assert!(created.receipts[0].is_applied() && presented.receipts[0].is_applied());
    for executed in [&created, &presented] {
        let kept = kept(&kit, executed);
        for credential in [&first, &second] {
            let mut secrets = vec![
                "cnf".to_owned(),
                "Maria".to_owned(),
                "Musterfrau".to_owned(),
                "Legal name".to_owned(),
                "HRB-".to_owned(),
                "legalName".to_owned(),
                "_sd".to_owned(),
                company.authentication.public().thumbprint(),
            ];
            secrets.push(credential.sd_jwt.as_str().to_owned());
            for part in credential.sd_jwt.as_str().split(['~', '.']).filter(|part| !part.is_empty()) {
                secrets.push(part.to_owned());
            }
            if let aval_codec::Json::Object(jwk) = company.authentication.public().to_jwk() {
                secrets.push(jwk["x"].as_str().unwrap().to_owned());
            }
            for secret in secrets {
                assert!(!kept.contains(&secret), "{secret} is kept");
            }
        }
        // What is kept: enumerations and identifiers.
        assert!(kept.contains("member") && kept.contains(company.did.as_str()));
    }
}

#[test]
fn a_refusal_does_not_repeat_what_was_presented() {
    let kit = Kit::ready(1);
    let company = kit.company(1);
    let mut terms = kit.terms(&company);
    terms.valid_until_s = kit.now_s;
    let credential = kit.issue(&kit.issuer, terms);
    let grant = Some(credential.grant(&company.did));
    let draft = Draft::new(&kit, Action::DidCreate(DidCreate { operation: company.inception(), grant }))
        .controllers(&company)
        .disclosing(&credential, &Selection::Everything, &company.authentication);
    let tampered: [fn(&mut String); 3] =
        [|_| {}, |text| text.insert(text.len() / 2, 'A'), |text| text.truncate(text.len() / 2)];
    for tamper in tampered {
        let reject = kit.verdict(draft.clone().tamper(tamper).submit()).unwrap_err();
        let said = format!("{reject:?} {reject}");
        for secret in ["Maria", "Legal name", "HRB-", "legalName"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
