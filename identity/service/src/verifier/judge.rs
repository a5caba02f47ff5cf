//! The judge of what wallets present over OpenID4VP: the strict verifier, told the nonce and audience of the session,
//! with its questions answered by the same [`Sources`] as those of the VC-API.
//!
//! A presentation is of one credential (OpenID4VP 1.0 section 8.1), in the format that was asked for. Where the
//! holder's binding was asked for, the credential must belong to whoever presents it.

use super::metrics::Counters;
use super::presentations::{Case, Judge, Judgement};
use super::sources::Sources;
use aval_formats::vcdm;
use aval_formats::verifier::{
    Expectation, HolderPolicy, Input, Kind, Verdict, Verification, VerifiedCredential,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Judges by the strict verifier.
#[derive(Debug)]
pub struct StrictJudge {
    sources: Arc<Sources>,
    expected: Expectation,
    counters: Arc<Counters>,
}

impl StrictJudge {
    /// A judge that expects this of everything, besides what belongs to a session.
    pub fn new(sources: Arc<Sources>, expected: Expectation, counters: Arc<Counters>) -> Self {
        Self { sources, expected, counters }
    }
}

impl Judge for StrictJudge {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let judgement = self.decide(case);
        let outcome = match judgement.verified {
            Some(true) => "verified",
            Some(false) => "invalid",
            None => "undecided",
        };
        self.counters.count("session", outcome);
        judgement
    }
}

impl StrictJudge {
    fn decide(&self, case: &Case<'_>) -> Judgement {
        let input = match case.presentation {
            Value::String(text) => Input::Text(text.clone()),
            other => Input::Json(other.clone()),
        };
        let bound = case.holder_binding || is_bound(case.presentation);
        let expected = Expectation {
            now_s: case.now_s,
            challenge: bound.then(|| case.nonce.to_owned()),
            domain: bound.then(|| case.audience.to_owned()),
            holder: if bound { HolderPolicy::Required } else { self.expected.holder },
            ..self.expected.clone()
        };
        let kind = if bound { Kind::Presentation } else { Kind::Credential };
        let answer = self.sources.judge(Verification::new(kind, &input, expected), case.now_s);
        let report = answer.to_json();
        let verified = match &answer.verdict {
            Verdict::Verified(verified) => verified,
            Verdict::Invalid(_) => return without_claims(Some(false), report),
            Verdict::Undecided(_) => return without_claims(None, report),
        };
        let [credential] = verified.credentials() else {
            return refused("presentation.count", "the presentation is not of one credential");
        };
        if !is_of_format(credential, case.format) {
            return refused("presentation.format", "the credential is not of the format that was asked for");
        }
        Judgement {
            verified: Some(true),
            report,
            claims: credential.document().clone(),
            vct: credential.document().get("vct").and_then(Value::as_str).map(str::to_owned),
            types: vcdm::types_of(credential.document()).into_iter().map(str::to_owned).collect(),
            holder_bound: bound,
            authorities: Vec::new(),
        }
    }
}

/// Whether a presentation comes with a proof of its holder, also where none was asked for.
fn is_bound(presentation: &Value) -> bool {
    match presentation {
        Value::String(text) if text.contains('~') => !text.ends_with('~'),
        Value::String(_) => false,
        document => vcdm::types_of(document).contains(&"VerifiablePresentation"),
    }
}

/// Whether a verified credential is of a format of OpenID4VP 1.0 appendix B.
fn is_of_format(credential: &VerifiedCredential, asked: &str) -> bool {
    let found = credential.format();
    match asked {
        "dc+sd-jwt" | "vc+sd-jwt" => found == asked,
        "jwt_vc_json" => matches!(found, "jwt" | "vc+jwt"),
        // Cryptosuites are named after what they are; all else is a token.
        "ldp_vc" => !found.ends_with("jwt") && !found.ends_with("cose") && found != "none",
        _ => false,
    }
}

fn refused(code: &str, detail: &str) -> Judgement {
    without_claims(Some(false), json!({"verified": false, "errors": [{"code": code, "detail": detail}]}))
}

fn without_claims(verified: Option<bool>, report: Value) -> Judgement {
    Judgement {
        verified,
        report,
        claims: Value::Null,
        vct: None,
        types: Vec::new(),
        holder_bound: false,
        authorities: Vec::new(),
    }
}
