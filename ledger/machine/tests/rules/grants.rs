//! Grants in use: live or not, which reason is told, and how many a DID can hold.

use aval_credential::StatusPurpose;
use aval_machine::testkit::{Credential, Kit, Party};
use aval_types::Purpose;

use crate::refusal;

#[track_caller]
fn update_refusal(kit: &Kit, party: &Party) -> &'static str {
    let mut party = party.clone();
    let update = party.update(kit, kit.document(&party, 99));
    refusal(kit, Ok(update))
}

#[track_caller]
fn expect_update(kit: &mut Kit, party: &mut Party, revision: u64) {
    let update = party.update(kit, kit.document(party, revision));
    kit.expect_applied(update);
}

/// A registry for suspension, and a credential for the party in it.
fn suspendable(kit: &mut Kit, party: &Party, index: u64) -> Credential {
    let uri = "https://issuer.example/status/suspended";
    let registry = kit.create_registry_of(Purpose::Suspension, "suspended", 1, uri);
    // Made once; a second time it is there already.
    let _ = kit.apply(registry);
    let mut terms = kit.terms(party);
    terms.registry = aval_types::RegistryId::new(kit.issuer.did.clone(), "suspended").unwrap();
    terms.list = uri.to_owned();
    terms.purpose = StatusPurpose::Suspension;
    terms.index = index;
    kit.issue(&kit.issuer, terms)
}

#[test]
fn revocation_bites_at_once_and_the_company_can_still_rotate_and_deactivate() {
    let mut kit = Kit::ready(1);
    let (mut company, credential) = kit.member(1);
    expect_update(&mut kit, &mut company, 2);
    kit.expect_applied(kit.revoke(&credential));
    assert_eq!(update_refusal(&kit, &company), "grant.revoked");
    let rotate = company.rotate(&kit);
    kit.expect_applied(rotate);
    assert_eq!(update_refusal(&kit, &company), "grant.revoked");
    let deactivate = company.deactivate(&kit);
    kit.expect_applied(deactivate);
}

#[test]
fn a_suspended_grant_is_refused_until_the_suspension_is_lifted() {
    let mut kit = Kit::ready(1);
    let mut company = kit.company(1);
    let credential = suspendable(&mut kit, &company, 5);
    kit.expect_applied(company.create_with(&kit, &credential));
    kit.expect_applied(kit.set_status(&credential, 0, 1));
    assert_eq!(update_refusal(&kit, &company), "grant.suspended");
    let other = kit.company(2);
    let suspended = {
        let mut terms = credential.terms.clone();
        terms.holder_key = Some(other.authentication.public());
        kit.issue(&kit.issuer, terms)
    };
    assert_eq!(refusal(&kit, Ok(other.create_with(&kit, &suspended))), "credential.suspended");
    kit.expect_applied(kit.set_status(&credential, 1, 0));
    expect_update(&mut kit, &mut company, 2);
}

#[test]
fn a_grant_expires_with_its_credential() {
    let mut kit = Kit::ready(1);
    let mut company = kit.company(1);
    let mut terms = kit.terms(&company);
    terms.valid_until_s = kit.now_s + 100;
    let credential = kit.issue(&kit.issuer, terms);
    kit.expect_applied(company.create_with(&kit, &credential));
    kit.now_s += 99;
    expect_update(&mut kit, &mut company, 2);
    kit.now_s += 1;
    assert_eq!(update_refusal(&kit, &company), "grant.expired");
    // A renewed credential makes a grant of its own.
    let renewed = kit.membership(&company);
    kit.expect_applied(company.present(&kit, &renewed));
    expect_update(&mut kit, &mut company, 3);
}

#[test]
fn a_grant_without_the_role_is_refused() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1);
    let mut company = kit.company(2);
    kit.expect_applied(company.create_endorsed(&kit, &endorser));
    assert_eq!(update_refusal(&kit, &company), "grant.required");
    let other_role = kit.credential(&company, &["endorser"]);
    kit.expect_applied(company.present(&kit, &other_role));
    assert_eq!(update_refusal(&kit, &company), "grant.role");
    let member = kit.membership(&company);
    kit.expect_applied(company.present(&kit, &member));
    expect_update(&mut kit, &mut company, 2);
}

#[test]
fn one_live_grant_among_dead_ones_is_enough_and_otherwise_the_most_telling_reason_is_given() {
    let mut kit = Kit::ready(1);
    let (mut company, revoked) = kit.member(1);
    let mut terms = kit.terms(&company);
    terms.valid_until_s = kit.now_s + 1;
    let expiring = kit.issue(&kit.issuer, terms);
    let suspendable = suspendable(&mut kit, &company, 5);
    kit.expect_applied(company.present(&kit, &expiring));
    kit.expect_applied(company.present(&kit, &suspendable));
    kit.now_s += 1;
    kit.expect_applied(kit.revoke(&revoked));
    expect_update(&mut kit, &mut company, 2);
    kit.expect_applied(kit.set_status(&suspendable, 0, 1));
    assert_eq!(update_refusal(&kit, &company), "grant.revoked");
}

#[test]
fn a_did_holds_sixteen_grants_and_dead_ones_make_room() {
    let mut kit = Kit::ready(1);
    let (company, first) = kit.member(1);
    for _ in 1..16 {
        let credential = kit.membership(&company);
        kit.expect_applied(company.present(&kit, &credential));
    }
    let further = kit.membership(&company);
    assert_eq!(refusal(&kit, Ok(company.present(&kit, &further))), "grant.full");
    kit.expect_applied(kit.revoke(&first));
    kit.expect_applied(company.present(&kit, &further));
    // The dead grant stays on the ledger, so its credential cannot be used a second time.
    assert_eq!(refusal(&kit, Ok(kit.company(1).present(&kit, &first))), "credential.revoked");
}

#[test]
fn a_status_entry_that_nobody_answers_for_is_refused() {
    let mut kit = Kit::new(1);
    let company = kit.company(1);
    let credential = kit.membership(&company);
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &credential))), "credential.registry_unknown");
    kit.expect_applied(kit.create_registry());
    kit.verdict(company.create_with(&kit, &credential)).unwrap();
    let mut terms = kit.terms(&company);
    terms.index = u64::from(aval_machine::testkit::LIST_SIZE);
    let outside = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &outside))), "credential.index_out_of_range");
}

#[test]
fn a_status_entry_in_a_registry_of_another_issuer_or_purpose_is_refused() {
    let mut kit = Kit::ready(1);
    let company = kit.company(1);
    // A message registry cannot take a credential back.
    let uri = "https://issuer.example/status/messages";
    kit.expect_applied(kit.create_registry_of(Purpose::Message, "messages", 8, uri));
    let mut terms = kit.terms(&company);
    terms.list = uri.to_owned();
    terms.registry = aval_types::RegistryId::new(kit.issuer.did.clone(), "messages").unwrap();
    let message = kit.issue(&kit.issuer, terms.clone());
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &message))), "credential.registry_mismatch");
    // The credential says revocation, its registry suspends.
    let mut terms = suspendable(&mut kit, &company, 5).terms;
    terms.purpose = StatusPurpose::Revocation;
    let confused = kit.issue(&kit.issuer, terms);
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &confused))), "credential.registry_mismatch");
    // The action names another registry than the one that answers for the list.
    let mut named = kit.membership(&company);
    named.terms.registry = aval_types::RegistryId::new(kit.issuer.did.clone(), "messages").unwrap();
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &named))), "credential.registry_mismatch");
    // The list is registered, by somebody who is not the credential's issuer: nobody else could revoke it.
    let mut foreign = kit.membership(&company);
    foreign.terms.registry = aval_types::RegistryId::new(kit.operators[0].did.clone(), "members").unwrap();
    assert_eq!(refusal(&kit, Ok(company.create_with(&kit, &foreign))), "credential.registry_mismatch");
}
