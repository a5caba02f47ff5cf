//! Every way to be refused, each with its own code and with no change of state.

use aval_codec::{Json, Limits, b64u, json};
use aval_credential::Selection;
use aval_did::{Relationship, SigningKey};
use aval_machine::testkit::{Credential, Draft, Kit, Party};
use aval_machine::{Rules, check};
use aval_types::action::{CredentialPresent, DidCreate};
use aval_types::{Action, NetworkId, Reject, SubmittedTransaction, Witness};

use crate::refusal;

/// A `did.create` with a credential, for tests that change one thing about it.
fn create<'kit>(kit: &'kit Kit, party: &Party, credential: &Credential) -> Draft<'kit> {
    let grant = Some(credential.grant(&party.did));
    Draft::new(kit, Action::DidCreate(DidCreate { operation: party.inception(), grant })).controllers(party)
}

fn newcomer(kit: &Kit) -> (Party, Credential) {
    let party = kit.company(1);
    let credential = kit.membership(&party);
    (party, credential)
}

/// Signs a payload's bytes as they are and reads them as a node reads a submission.
fn submit_raw(payload: &[u8], kid: &str, key: &SigningKey) -> Result<SubmittedTransaction, Reject> {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"aval-tx+jwt"}}"#);
    let input = format!("{}.{}", b64u::encode(header), b64u::encode(payload));
    let jws = format!("{input}.{}", b64u::encode(key.sign(input.as_bytes())));
    SubmittedTransaction::from_body(jws.as_bytes())
}

#[test]
fn a_company_with_a_credential_may_create_its_did() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let receipt = kit.expect_applied(party.create_with(&kit, &credential));
    assert!(receipt.is_applied());
}

#[test]
fn a_company_with_p256_keys_may_create_its_did() {
    let mut kit = Kit::ready(1);
    let party = kit.company_p256(1);
    let credential = kit.membership(&party);
    kit.expect_applied(party.create_with(&kit, &credential));
}

#[test]
fn no_credential_is_refused() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let action = DidCreate { operation: party.inception(), grant: None };
    let draft = Draft::new(&kit, Action::DidCreate(action)).controllers(&party);
    assert_eq!(refusal(&kit, draft.try_submit()), "grant.required");
}

#[test]
fn a_credential_of_an_unaccredited_issuer_is_refused() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let impostor = kit.operators[0].clone();
    let credential = kit.issue(&impostor, kit.terms(&party));
    assert_eq!(
        refusal(
            &kit,
            create(&kit, &party, &credential).presenting(&credential, &party.authentication).try_submit()
        ),
        "credential.issuer_unaccredited"
    );
}

#[test]
fn a_credential_of_a_type_the_issuer_is_not_accredited_for_is_refused() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let mut terms = kit.terms(&party);
    terms.credential_type = "DrivingLicence".to_owned();
    let credential = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "credential.type_unaccredited");
}

#[test]
fn a_credential_with_a_role_the_issuer_is_not_accredited_for_is_refused() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let credential = kit.credential(&party, &["member", "regulator"]);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "credential.role_unaccredited");
}

#[test]
fn a_credential_without_the_member_role_does_not_create_a_did() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    let credential = kit.credential(&party, &["endorser"]);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "grant.role");
}

#[test]
fn an_expired_credential_is_refused_from_the_second_it_ends() {
    let mut kit = Kit::ready(1);
    let party = kit.company(1);
    let mut terms = kit.terms(&party);
    terms.valid_until_s = kit.now_s;
    let credential = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "credential.expired");
    kit.now_s -= 1;
    kit.expect_applied(party.create_with(&kit, &credential));
}

#[test]
fn a_credential_that_is_not_valid_yet_is_refused() {
    let mut kit = Kit::ready(1);
    let party = kit.company(1);
    let mut terms = kit.terms(&party);
    terms.valid_from_s = kit.now_s + 1;
    let credential = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "presentation.not_yet_valid");
    kit.now_s += 1;
    kit.expect_applied(party.create_with(&kit, &credential));
}

#[test]
fn a_revoked_credential_is_refused() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "credential.revoked");
}

#[test]
fn a_presentation_bound_by_someone_elses_key_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let thief = kit.key("thief");
    let draft = create(&kit, &party, &credential).presenting(&credential, &thief);
    assert_eq!(refusal(&kit, draft.try_submit()), "presentation.key_binding");
}

#[test]
fn a_credential_of_another_holder_is_refused() {
    let kit = Kit::ready(1);
    let owner = kit.company(1);
    let credential = kit.membership(&owner);
    // The holder's key signs, but for a DID that does not list it.
    let other = kit.company(2);
    let draft = create(&kit, &other, &credential).presenting(&credential, &owner.authentication);
    assert_eq!(refusal(&kit, draft.try_submit()), "presentation.holder_key");
}

#[test]
fn a_presentation_replayed_on_another_transaction_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let first = party.create_with(&kit, &credential);
    let second = party.create_with(&kit, &credential);
    assert_ne!(first.transaction.id(), second.transaction.id());
    let replayed = SubmittedTransaction { transaction: second.transaction, witness: first.witness };
    assert_eq!(refusal(&kit, Ok(replayed)), "presentation.replayed");
}

#[test]
fn a_presentation_for_another_audience_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let draft = create(&kit, &party, &credential).presenting(&credential, &party.authentication);
    assert_eq!(
        refusal(&kit, draft.audience("https://bank.example").try_submit()),
        "presentation.key_binding"
    );
}

#[test]
fn a_presentation_without_key_binding_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let draft = create(&kit, &party, &credential).presenting(&credential, &party.authentication);
    let unbound = draft.tamper(|text| text.truncate(text.rfind('~').unwrap() + 1));
    assert_eq!(refusal(&kit, unbound.try_submit()), "presentation.key_binding");
}

#[test]
fn a_presentation_with_other_disclosures_than_named_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let all = create(&kit, &party, &credential).disclosing(
        &credential,
        &Selection::Everything,
        &party.authentication,
    );
    assert_eq!(
        refusal(
            &kit,
            all.clone().sd_hash(credential.sd_jwt.sd_hash()).try_submit().map(|mut submitted| {
                let Witness::Full(bytes) = &submitted.witness else { panic!("there is a presentation") };
                let text = String::from_utf8(bytes.clone()).unwrap();
                let (jwt, rest) = text.split_once('~').unwrap();
                let binding = rest.rsplit('~').next().unwrap();
                submitted.witness = Witness::Full(format!("{jwt}~{binding}").into_bytes());
                submitted
            })
        ),
        "presentation.mismatch"
    );
    kit.verdict(all.submit()).unwrap();
}

#[test]
fn a_forged_issuer_signature_is_refused() {
    let kit = Kit::ready(1);
    let party = kit.company(1);
    // Somebody else signs in the issuer's name.
    let mut forger = kit.company(9);
    forger.did = kit.issuer.did.clone();
    let credential = kit.issue(&forger, kit.terms(&party));
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "presentation.signature");
}

#[test]
fn a_credential_signed_with_a_key_that_left_the_issuers_assertion_methods_is_refused() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let mut issuer = kit.issuer.clone();
    let mut document = issuer.document.clone();
    document.assertion_method.clear();
    assert!(document.relationship(Relationship::AssertionMethod).is_empty());
    let mut draft = issuer.rotation();
    draft.document = Some(document);
    let rotate = Draft::new(&kit, Action::DidRotate(draft)).controllers(&issuer).submit();
    kit.expect_applied(rotate);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "presentation.signature");
}

#[test]
fn a_credential_of_a_deactivated_issuer_is_refused_and_its_grants_end() {
    let mut kit = Kit::ready(1);
    let (mut member, _) = kit.member(1);
    let party = kit.company(2);
    let credential = kit.membership(&party);
    let mut issuer = kit.issuer.clone();
    let deactivate = issuer.deactivate(&kit);
    kit.expect_applied(deactivate);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "credential.issuer_unaccredited");
    let update = member.update(&kit, kit.document(&member, 2));
    assert_eq!(refusal(&kit, Ok(update)), "grant.issuer_unaccredited");
    assert_eq!(refusal(&kit, Ok(kit.revoke(&credential))), "did.deactivated");
}

#[test]
fn a_grant_that_says_other_than_the_credential_is_refused_field_by_field() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    type Change = fn(&mut aval_types::Grant, &Kit);
    let changes: [Change; 6] = [
        |grant, kit| grant.issuer = kit.operators[0].did.clone(),
        |grant, _| grant.credential_type = "Other".to_owned(),
        |grant, _| grant.roles = vec!["endorser".to_owned(), "member".to_owned()],
        |grant, _| grant.status.index += 1,
        |grant, _| grant.status.list.push('x'),
        |grant, _| grant.expires += 1,
    ];
    for change in changes {
        let mut grant = credential.grant(&party.did);
        change(&mut grant, &kit);
        let draft = Draft::new(
            &kit,
            Action::DidCreate(DidCreate { operation: party.inception(), grant: Some(grant) }),
        )
        .controllers(&party)
        .presenting(&credential, &party.authentication);
        assert_eq!(refusal(&kit, draft.try_submit()), "presentation.mismatch");
    }
}

#[test]
fn a_grant_for_another_subject_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let grant = Some(credential.grant(&kit.company(2).did));
    let draft = Draft::new(&kit, Action::DidCreate(DidCreate { operation: party.inception(), grant }))
        .controllers(&party)
        .presenting(&credential, &party.authentication);
    assert_eq!(refusal(&kit, draft.try_submit()), "presentation.mismatch");
    // A credential may name its subject; then it must be the DID.
    let mut terms = kit.terms(&party);
    terms.subject_id = Some(kit.company(2).did.to_string());
    let credential = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(party.create_with(&kit, &credential))), "presentation.mismatch");
    let mut terms = kit.terms(&party);
    terms.subject_id = Some(party.did.to_string());
    let credential = kit.issue(&kit.issuer, terms);
    kit.verdict(party.create_with(&kit, &credential)).unwrap();
}

#[test]
fn a_presentation_that_is_missing_unexpected_malformed_or_too_large_is_refused() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let mut submitted = party.create_with(&kit, &credential);
    submitted.witness = Witness::None;
    assert_eq!(refusal(&kit, Ok(submitted.clone())), "presentation.missing");
    submitted.witness = Witness::Full(b"eyJhbGciOiJFZERTQSJ9.e30.AAAA~".to_vec());
    assert_eq!(refusal(&kit, Ok(submitted.clone())), "presentation.malformed");
    submitted.witness = Witness::Full(vec![b'a'; 16 * 1024 + 1]);
    assert_eq!(refusal(&kit, Ok(submitted)), "presentation.oversized");
    let first = party.create_with(&kit, &credential);
    kit.expect_applied(first.clone());
    let mut company = party.clone();
    let mut update = company.update(&kit, kit.document(&party, 2));
    update.witness = first.witness;
    assert_eq!(refusal(&kit, Ok(update)), "presentation.unexpected");
}

#[test]
fn a_stripped_witness_is_accepted_under_a_certificate_only() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let submitted = party.create_with(&kit, &credential);
    let stripped = SubmittedTransaction { witness: submitted.witness.strip(), ..submitted.clone() };
    assert_eq!(refusal(&kit, Ok(stripped.clone())), "presentation.missing");
    let checked = check(stripped, &Rules::certified(kit.network().clone())).unwrap();
    let mut twin = Kit::ready(1);
    let full = twin.apply_block(&[twin.checked(submitted)]).unwrap();
    assert_eq!(kit.apply_block(&[checked]).unwrap(), full);
}

#[test]
fn a_transaction_of_another_network_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let other = NetworkId::new("test", aval_codec::sha256(b"another genesis")).unwrap();
    let draft =
        create(&kit, &party, &credential).presenting(&credential, &party.authentication).network(other);
    assert_eq!(refusal(&kit, draft.try_submit()), "transaction.network");
    let foreign =
        Kit::with(aval_machine::testkit::Options { network: "elsewhere".to_owned(), ..Default::default() });
    let party = foreign.company(1);
    let credential = foreign.membership(&party);
    let draft = create(&kit, &party, &credential).presenting(&credential, &party.authentication);
    assert_eq!(refusal(&kit, draft.try_submit()), "did.network");
}

#[test]
fn a_transaction_outside_of_its_window_is_refused() {
    let mut kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let now = kit.now_s;
    let submitted = create(&kit, &party, &credential)
        .presenting(&credential, &party.authentication)
        .window(now, now + 10)
        .submit();
    kit.now_s = now - 1;
    assert_eq!(refusal(&kit, Ok(submitted.clone())), "transaction.not_yet_valid");
    kit.now_s = now + 10;
    assert_eq!(refusal(&kit, Ok(submitted.clone())), "transaction.expired");
    kit.now_s = now + 9;
    kit.verdict(submitted).unwrap();
    let draft = create(&kit, &party, &credential).presenting(&credential, &party.authentication);
    assert_eq!(refusal(&kit, draft.clone().window(now, now + 601).try_submit()), "transaction.window");
    assert_eq!(refusal(&kit, draft.window(now, now).try_submit()), "transaction.window");
}

#[test]
fn a_transaction_that_is_on_the_ledger_is_refused_for_as_long_as_it_could_be_valid() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    let mut twin = company.clone();
    let rotate = company.rotate(&kit);
    kit.expect_applied(rotate.clone());
    assert_eq!(refusal(&kit, Ok(rotate.clone())), "transaction.duplicate");
    // Another signed form of the same payload is the same transaction.
    kit.now_s += 594;
    assert_eq!(refusal(&kit, Ok(rotate.clone())), "transaction.duplicate");
    kit.now_s += 1;
    assert_eq!(refusal(&kit, Ok(rotate)), "transaction.expired");
    assert_eq!(refusal(&kit, Ok(twin.rotate(&kit))), "did.stale_version");
}

#[test]
fn a_transaction_that_cannot_be_read_is_refused() {
    let kit = Kit::ready(1);
    let mut party = kit.company(1);
    let submitted = party.rotate(&kit);
    let key = &party.controllers[0];
    let kid = submitted.transaction.payload().signers[0].kid.to_string();
    let payload = String::from_utf8(submitted.transaction.payload_bytes().to_vec()).unwrap();
    submit_raw(payload.as_bytes(), &kid, key).unwrap();
    let malformed = [
        payload.replacen('{', "{\"jti\":\"x\",", 1),
        payload.replacen("\"nbf\":", "\"nbf\":1.", 1),
        payload.replacen("did.rotate", "did.destroy", 1),
        payload.replacen("\"nbf\"", "\"note\":1,\"nbf\"", 1),
        String::new(),
    ];
    for payload in malformed {
        assert_eq!(refusal(&kit, submit_raw(payload.as_bytes(), &kid, key)), "transaction.malformed");
    }
    let large = payload.replacen('{', &format!("{{{}", " ".repeat(16 * 1024)), 1);
    assert_eq!(refusal(&kit, submit_raw(large.as_bytes(), &kid, key)), "transaction.oversized");
    let body = vec![b'a'; 200 * 1024];
    assert_eq!(refusal(&kit, SubmittedTransaction::from_body(&body)), "transaction.oversized");
}

#[test]
fn more_than_one_action_is_refused() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1);
    let party = kit.company(2);
    let submitted = party.create_endorsed(&kit, &endorser);
    let payload = json::parse(submitted.transaction.payload_bytes(), Limits::bytes(1 << 16)).unwrap();
    let Json::Object(mut members) = payload else { panic!("a payload is an object") };
    let action = members.remove("action").unwrap();
    members.insert("action".to_owned(), Json::Array(vec![action.clone(), action]));
    let payload = Json::Object(members).to_jcs();
    let kid = endorser.kid().to_string();
    assert_eq!(refusal(&kit, submit_raw(&payload, &kid, &endorser.authentication)), "transaction.one_action");
}

#[test]
fn a_bad_signature_is_refused_and_spoils_no_other_in_its_batch() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    let mut all: Vec<SubmittedTransaction> =
        (0..300).map(|revision| company.clone().update(&kit, kit.document(&company, revision))).collect();
    let jws = company.update(&kit, kit.document(&company, 7)).transaction.to_jws();
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let mut bytes = b64u::decode(signature).unwrap();
    bytes[10] ^= 1;
    let forged =
        SubmittedTransaction::from_body(format!("{input}.{}", b64u::encode(bytes)).as_bytes()).unwrap();
    assert_eq!(refusal(&kit, Ok(forged.clone())), "transaction.signature");
    for at in [0, 77, 150, 299] {
        all[at] = forged.clone();
    }
    let verdicts = aval_machine::check_all(all.clone(), &kit.rules());
    for (index, (verdict, submitted)) in verdicts.iter().zip(&all).enumerate() {
        match verdict {
            Ok(checked) => assert_eq!(checked.transaction(), &submitted.transaction),
            Err(reject) => assert_eq!(reject.code(), "transaction.signature"),
        }
        assert_eq!(verdict.is_err(), [0, 77, 150, 299].contains(&index));
    }
}

#[test]
fn a_stale_version_is_refused() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    let stale = company.clone();
    let update = company.update(&kit, kit.document(&company, 2));
    kit.expect_applied(update);
    assert_eq!(refusal(&kit, Ok(stale.clone().update(&kit, kit.document(&stale, 3)))), "did.stale_version");
    assert_eq!(refusal(&kit, Ok(stale.clone().rotate(&kit))), "did.stale_version");
    assert_eq!(refusal(&kit, Ok(stale.clone().deactivate(&kit))), "did.stale_version");
}

#[test]
fn a_key_that_is_not_in_the_document_is_refused() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    company.authentication = kit.key("stolen");
    let credential = kit.membership(&company);
    assert_eq!(refusal(&kit, Ok(company.present(&kit, &credential))), "did.key_not_in_document");
    let (mut endorser, _) = kit.endorser(2);
    endorser.authentication = kit.key("stolen");
    let party = kit.company(3);
    assert_eq!(refusal(&kit, Ok(party.create_endorsed(&kit, &endorser))), "did.key_not_in_document");
    // The issuer's document key is no control key, and its control key no document key.
    let mut issuer = kit.issuer.clone();
    issuer.authentication = issuer.controllers[0].clone();
    let draft = Draft::new(&kit, kit.create_registry().transaction.action().clone()).sender(&issuer);
    assert_eq!(refusal(&kit, draft.try_submit()), "did.key_not_in_document");
}

#[test]
fn control_keys_below_the_threshold_or_of_another_are_refused() {
    let mut kit = Kit::ready(1);
    let board = kit.company_of(1, 2, 3);
    let credential = kit.membership(&board);
    let mut create = create(&kit, &board, &credential).presenting(&credential, &board.authentication);
    kit.verdict(create.clone().submit()).unwrap();
    create = create.unsigned().controller(&board, &board.controllers[1]);
    assert_eq!(refusal(&kit, create.clone().try_submit()), "did.control");
    let stranger = kit.key("stranger");
    create = create.controller(&board, &stranger);
    assert_eq!(refusal(&kit, create.try_submit()), "did.control");
    kit.expect_applied(board.create_with(&kit, &credential));
    // A document key does not change a DID, nor do next keys before they are current.
    let draft = |key: &SigningKey| {
        board.clone().update_draft(&kit, kit.document(&board, 2)).unsigned().controller(&board, key)
    };
    assert_eq!(refusal(&kit, draft(&board.authentication).try_submit()), "did.control");
    assert_eq!(refusal(&kit, draft(&board.next_controllers[0]).try_submit()), "did.control");
    assert_eq!(refusal(&kit, draft(&board.controllers[0]).try_submit()), "did.control");
    let rotate = board.clone().rotate_draft(&kit).unsigned();
    let rotated = {
        let mut board = board.clone();
        board.rotate(&kit);
        board
    };
    let one = rotate.controller(&rotated, &rotated.controllers[0]);
    assert_eq!(refusal(&kit, one.clone().try_submit()), "did.control");
    kit.verdict(one.controller(&rotated, &rotated.controllers[2]).submit()).unwrap();
}

#[test]
fn a_did_that_is_not_on_the_ledger_or_is_there_already_is_refused() {
    let mut kit = Kit::ready(1);
    let (company, credential) = kit.member(1);
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &credential))), "did.exists");
    let mut nobody = kit.company(2);
    assert_eq!(refusal(&kit, Ok(nobody.clone().update(&kit, kit.document(&nobody, 2)))), "did.not_found");
    assert_eq!(refusal(&kit, Ok(nobody.clone().rotate(&kit))), "did.not_found");
    assert_eq!(refusal(&kit, Ok(nobody.deactivate(&kit))), "did.not_found");
    let credential = kit.membership(&nobody);
    assert_eq!(refusal(&kit, Ok(nobody.present(&kit, &credential))), "did.not_found");
}

#[test]
fn a_did_that_is_not_the_hash_of_its_inception_is_refused() {
    let kit = Kit::ready(1);
    let (party, credential) = newcomer(&kit);
    let mut operation = party.inception();
    operation.document = kit.document(&party, 2);
    let grant = Some(credential.grant(&party.did));
    let draft = Draft::new(&kit, Action::DidCreate(DidCreate { operation, grant }))
        .controllers(&party)
        .presenting(&credential, &party.authentication);
    assert_eq!(refusal(&kit, draft.try_submit()), "did.invalid");
}

#[test]
fn a_document_that_is_not_allowed_is_refused() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let mut document = company.document.clone();
    document.authentication.push("#key-2".to_owned());
    assert_eq!(refusal(&kit, company.clone().update_draft(&kit, document).try_submit()), "did.document");
    // A control key in the document: the two sets of keys are apart.
    let mut document = company.document.clone();
    let method = aval_did::VerificationMethod::multikey("#key-2", &company.controllers[0].public());
    document.verification_method.push(method);
    assert_eq!(refusal(&kit, company.clone().update_draft(&kit, document).try_submit()), "did.document");
}

#[test]
fn a_deactivated_did_can_do_nothing_any_more() {
    let mut kit = Kit::ready(1);
    let (mut endorser, credential) = kit.endorser(1);
    let deactivate = endorser.deactivate(&kit);
    kit.expect_applied(deactivate);
    assert_eq!(
        refusal(&kit, Ok(endorser.clone().update(&kit, kit.document(&endorser, 2)))),
        "did.deactivated"
    );
    assert_eq!(refusal(&kit, Ok(endorser.clone().rotate(&kit))), "did.deactivated");
    assert_eq!(refusal(&kit, Ok(endorser.clone().deactivate(&kit))), "did.deactivated");
    let another = kit.membership(&endorser);
    assert_eq!(refusal(&kit, Ok(endorser.present(&kit, &another))), "did.deactivated");
    assert_eq!(refusal(&kit, Ok(kit.company(2).create_endorsed(&kit, &endorser))), "did.deactivated");
    assert_eq!(refusal(&kit, Ok(kit.company(1).create_with(&kit, &credential))), "did.exists");
}

#[test]
fn control_operations_beyond_the_allowance_are_refused_for_a_day() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    for _ in 0..8 {
        let rotate = company.rotate(&kit);
        kit.expect_applied(rotate);
    }
    assert_eq!(refusal(&kit, Ok(company.clone().rotate(&kit))), "did.allowance");
    assert_eq!(refusal(&kit, Ok(company.clone().deactivate(&kit))), "did.allowance");
    kit.now_s += 24 * 3600;
    let rotate = company.rotate(&kit);
    kit.expect_applied(rotate);
}

#[test]
fn a_second_did_on_the_same_credential_is_refused() {
    let mut kit = Kit::ready(1);
    let (company, credential) = kit.member(1);
    // The same holder key in the document of another DID.
    let mut second = kit.company(2);
    second.authentication = company.authentication.clone();
    let mut operation = second.inception();
    operation.document = company.document.clone();
    let operation = aval_did::Create::new("test", operation.control, operation.document).unwrap();
    second.did = operation.did.clone();
    let grant = Some(credential.grant(&second.did));
    let draft = Draft::new(&kit, Action::DidCreate(DidCreate { operation, grant }))
        .controllers(&second)
        .presenting(&credential, &company.authentication);
    assert_eq!(refusal(&kit, draft.try_submit()), "grant.exists");
    assert_eq!(refusal(&kit, Ok(company.present(&kit, &credential))), "grant.exists");
}

#[test]
fn an_endorser_signs_creations_and_updates_of_others_and_nothing_else() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1);
    let mut party = kit.company(2);
    kit.expect_applied(party.create_endorsed(&kit, &endorser));
    let update = party.update_endorsed(&kit, kit.document(&party, 2), &endorser);
    kit.expect_applied(update);
    // Without the endorser the party has nothing to stand on: no role was lent.
    assert_eq!(refusal(&kit, Ok(party.clone().update(&kit, kit.document(&party, 3)))), "grant.required");
    let rotate = party.clone().rotate_draft(&kit).endorser(&endorser);
    assert_eq!(refusal(&kit, rotate.try_submit()), "endorser.scope");
    let credential = kit.membership(&party);
    let present = Draft::new(
        &kit,
        Action::CredentialPresent(CredentialPresent { grant: credential.grant(&party.did) }),
    )
    .sender(&party)
    .endorser(&endorser)
    .presenting(&credential, &party.authentication);
    assert_eq!(refusal(&kit, present.try_submit()), "endorser.scope");
    let registry = Draft::new(&kit, kit.create_registry().transaction.action().clone()).sender(&kit.issuer);
    assert_eq!(refusal(&kit, registry.endorser(&endorser).try_submit()), "endorser.scope");
    let own = endorser.clone().update_draft(&kit, kit.document(&endorser, 2)).endorser(&endorser);
    assert_eq!(refusal(&kit, own.try_submit()), "endorser.self");
}

#[test]
fn an_endorser_needs_a_live_grant_with_the_role() {
    let mut kit = Kit::ready(1);
    let (member, _) = kit.member(1);
    let (endorser, credential) = kit.endorser(2);
    let party = kit.company(3);
    assert_eq!(refusal(&kit, Ok(party.create_endorsed(&kit, &member))), "endorser.grant");
    assert_eq!(refusal(&kit, Ok(party.create_endorsed(&kit, &kit.operators[0]))), "endorser.grant");
    kit.verdict(party.create_endorsed(&kit, &endorser)).unwrap();
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(refusal(&kit, Ok(party.create_endorsed(&kit, &endorser))), "endorser.grant");
    assert_eq!(refusal(&kit, Ok(party.create_endorsed(&kit, &kit.company(4)))), "did.not_found");
}

#[test]
fn a_creation_with_both_an_endorser_and_a_credential_is_refused() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1);
    let party = kit.company(2);
    let credential = kit.membership(&party);
    let draft =
        create(&kit, &party, &credential).presenting(&credential, &party.authentication).endorser(&endorser);
    assert_eq!(refusal(&kit, draft.try_submit()), "transaction.signers");
}
