//! Actions that have a sender and no presentation, each with who sends it.

use aval_codec::Json;

use super::{
    Person, TIME_S, bank, company, issuer, membership, network, root, support::object, validator_key,
};
use crate::{
    accreditation::AccreditationKind,
    action::{
        AccreditationGrant, AccreditationRevoke, Action, AnchorCreate, NodeEvidence, NodeLeave, NodeRegister,
        NodeUpdate, SchemaDeprecate, SchemaPublish, ServiceRegister, ServiceRemove,
    },
    anchor::Commitment,
    governance::{Change, GovernancePropose, GovernanceVote},
    node::{NodeKind, Possession, key_bytes},
    parameters::{ParametersChange, ValidatorChange},
    schema::SchemaHash,
    supervision::{SupervisionAllow, SupervisionDeny, SupervisionHold, SupervisionRelease, Target},
    transaction::TransactionId,
    vote::{Vote, VoteKind, VotedProposal, signed_bytes},
};

/// All of them.
pub(crate) fn sent() -> Vec<(Action, Person)> {
    [trust(), nodes(), governance(), supervision()].into_iter().flatten().collect()
}

fn trust() -> Vec<(Action, Person)> {
    let schema =
        object(&[("type", "object".into()), ("required", Json::Array(vec!["credentialSubject".into()]))]);
    let hash = SchemaHash::of(&schema);
    let grant = AccreditationGrant {
        subject: issuer().did(),
        previous: 1,
        kind: AccreditationKind::Issuer,
        types: vec![membership()],
        depth: 0,
        expires: (TIME_S + 86_400) * 1000,
        credential: aval_codec::sha256(b"<accreditation credential>~"),
    };
    let revoke = AccreditationRevoke { subject: issuer().did(), reason: "the audit of November".to_owned() };
    let publish = SchemaPublish { credential_type: "AvalMembershipCredential".to_owned(), schema };
    let anchor =
        AnchorCreate { commitment: Commitment::of(&[5; 32], b"a document"), kind: "contract".to_owned() };
    let service = ServiceRegister {
        name: "register".to_owned(),
        kind: "issuer".to_owned(),
        endpoint: "https://register.example/".to_owned(),
        description: Some("Membership credentials".to_owned()),
    };
    vec![
        (Action::AccreditationGrant(grant), root()),
        (Action::AccreditationRevoke(revoke), root()),
        (Action::SchemaPublish(publish), root()),
        (Action::SchemaDeprecate(SchemaDeprecate { schema: hash }), root()),
        (Action::AnchorCreate(anchor), bank()),
        (Action::ServiceRegister(service), bank()),
        (Action::ServiceRemove(ServiceRemove { name: "register".to_owned() }), bank()),
    ]
}

fn nodes() -> Vec<(Action, Person)> {
    let operator = bank();
    let (key, other) = (validator_key(9), validator_key(8));
    let bytes = key_bytes(&key.public()).unwrap();
    let register = NodeRegister {
        key: key.public(),
        kind: NodeKind::Validator,
        name: "north-1".to_owned(),
        addresses: vec!["192.0.2.7:4800".parse().unwrap()],
        sector: "public".to_owned(),
        region: "north".to_owned(),
        proof: Possession(key.sign(&Possession::signed_bytes(&network(), &operator.did(), &bytes))),
    };
    let update = NodeUpdate { key: key.public(), addresses: vec!["[2001:db8::7]:4800".parse().unwrap()] };
    let vote = |block: u8| {
        let proposal = VotedProposal { parent_view: 6, digest: aval_codec::Hash::new([block; 32]) };
        let message = signed_bytes(&network().genesis(), VoteKind::Finalize, 0, 7, Some(&proposal));
        Vote {
            kind: VoteKind::Finalize,
            epoch: 0,
            view: 7,
            parent_view: Some(proposal.parent_view),
            digest: Some(proposal.digest),
            signature: other.sign(&message),
        }
    };
    let evidence = NodeEvidence { key: other.public(), first: vote(1), second: vote(2) };
    vec![
        (Action::NodeRegister(register), bank()),
        (Action::NodeUpdate(update), bank()),
        (Action::NodeLeave(NodeLeave { key: key.public() }), operator),
        (Action::NodeEvidence(Box::new(evidence)), issuer()),
    ]
}

fn governance() -> Vec<(Action, Person)> {
    let validators = ValidatorChange { per_region_max: Some(2), ..ValidatorChange::default() };
    let change = ParametersChange {
        heartbeat_ms: Some(2_000),
        validators: Some(validators),
        ..ParametersChange::default()
    };
    let propose = GovernancePropose {
        change: Change::Parameters(change),
        execute_at: 1_000,
        title: "At most two of a region".to_owned(),
    };
    let vote = GovernanceVote { proposal: TransactionId::of_payload(b"a proposal"), approve: true };
    vec![(Action::GovernancePropose(propose), bank()), (Action::GovernanceVote(vote), bank())]
}

fn supervision() -> Vec<(Action, Person)> {
    let hold = SupervisionHold {
        target: Target::Did(company().did()),
        reason: "stolen keys".to_owned(),
        legal_basis: "Act 7, section 2".to_owned(),
        expires: (TIME_S + 3_600) * 1000,
    };
    let node = Target::Node(validator_key(9).public());
    let deny = SupervisionDeny { target: node.clone(), reason: "court order 12/2026".to_owned() };
    let release = SupervisionRelease { hold: TransactionId::of_payload(b"a hold") };
    vec![
        (Action::SupervisionHold(hold), bank()),
        (Action::SupervisionRelease(release), bank()),
        (Action::SupervisionDeny(deny), bank()),
        (Action::SupervisionAllow(SupervisionAllow { target: node }), bank()),
    ]
}
