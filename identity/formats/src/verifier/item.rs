//! One part of a verification: a presentation, a credential, the list of a status. It is read, then its signatures are
//! verified, then what it claims is looked up.

use super::answer::{Check, Outcome, Problem};
use super::keys::{self, SigningParty};
use super::secured::{Model, Secured, Securing, Signature};
use super::{AccreditationPolicy, Expectation, Input, State, claims, lists};
use crate::jose;
use crate::vcdm;
use crate::{FormatError, VerificationKey, date};
use serde_json::Value;

/// What the part is in the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The presentation.
    Presentation,
    /// A credential, alone or in a presentation.
    Credential {
        /// True in a presentation.
        presented: bool,
    },
    /// A status list that a credential's entry led to.
    List {
        /// A Token Status List, else a Bitstring Status List credential.
        token: bool,
        /// Where it was.
        uri: String,
        /// Bits of the entry that led to it.
        size: u8,
        /// Who issued the credential with the entry: whose key it is if the list names nobody.
        of: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Signatures,
    Claims,
    Done,
}

/// One part.
#[derive(Debug)]
pub(super) struct Item {
    role: Role,
    part: String,
    stage: Stage,
    failed: bool,
    secured: Option<Secured>,
    party: Option<String>,
    signers: Vec<SigningParty>,
    /// The holder's key that bound an SD-JWT, once verified.
    bound: Option<VerificationKey>,
}

impl Item {
    /// Reads a part, and for a presentation the credentials in it.
    pub(super) fn read(
        role: Role,
        part: &str,
        input: &Input,
        expectation: &Expectation,
        state: &mut State,
    ) -> Vec<Self> {
        let secured = match role {
            Role::Presentation => Secured::presentation(input, expectation.limits),
            _ => Secured::credential(input, expectation.limits),
        };
        let mut items = vec![Self::of(role, part, secured, expectation, state)];
        let inner = items.first().filter(|item| item.role == Role::Presentation && !item.failed);
        let inner =
            inner.and_then(|item| item.secured.as_ref()).map(|secured| (secured.model, &secured.document));
        if let Some((Model::Vcdm, document)) = inner.filter(|_| !is_credential_of_itself(&items)) {
            let credentials = vcdm::credentials(document).unwrap_or_default();
            let inputs: Vec<Input> = credentials.into_iter().map(inner_input).collect();
            for (index, input) in inputs.iter().enumerate() {
                let part = format!("{part}/credentials/{index}");
                items.extend(Self::read(
                    Role::Credential { presented: true },
                    &part,
                    input,
                    expectation,
                    state,
                ));
            }
        }
        items
    }

    /// A part of which the secured form was read, or was not.
    pub(super) fn of(
        role: Role,
        part: &str,
        secured: Result<Secured, FormatError>,
        expectation: &Expectation,
        state: &mut State,
    ) -> Self {
        let mut item = Self {
            role,
            part: part.to_owned(),
            stage: Stage::Signatures,
            failed: false,
            secured: None,
            party: None,
            signers: Vec::new(),
            bound: None,
        };
        match secured {
            Err(error) => item.check(state, "format", String::new(), error.into()),
            Ok(mut secured) => {
                item.check(state, "format", secured.format.to_owned(), Outcome::Passed);
                // An SD-JWT of a credential is a presentation of itself: what it holds is judged as a credential.
                if item.role == Role::Presentation && is_credential(&secured) {
                    item.role = Role::Credential { presented: false };
                    item.part = "credential".to_owned();
                }
                let presentation = item.role == Role::Presentation;
                item.party = secured.party(presentation);
                item.look_at(&secured, expectation, state);
                match secured.signatures() {
                    Ok(signatures) => {
                        item.fall_back(&signatures);
                        item.signers = keys::parties(signatures, item.party.as_deref());
                    }
                    Err(FormatError::ProofMissing) if presentation && !expectation.signed_presentation => {
                        let problem = Problem::new("presentation.unsigned", "nobody signed the presentation");
                        item.check(state, "signature", String::new(), Outcome::Warning(problem));
                        secured.securing = Securing::Nothing;
                        item.stage = Stage::Claims;
                    }
                    Err(error) => item.check(state, "signature", String::new(), error.into()),
                }
                item.secured = Some(secured);
            }
        }
        if item.failed {
            item.finish(state, expectation);
        }
        item
    }

    /// A status token may leave out its issuer, and name its key by an id that means something to the issuer only.
    fn fall_back(&mut self, signatures: &[Signature]) {
        let names_somebody = |signature: &Signature| {
            signature.method.as_ref().is_some_and(|key| key.contains(':') && !key.starts_with('#'))
        };
        if let (None, Role::List { of, .. }) = (&self.party, &self.role)
            && !signatures.iter().any(names_somebody)
        {
            self.party = of.clone();
        }
    }

    /// What can be judged without asking: the data model, the dates, the type.
    fn look_at(&mut self, secured: &Secured, expectation: &Expectation, state: &mut State) {
        let model = match (secured.model, &self.role) {
            (Model::StatusToken, _) => None,
            (Model::SdJwtVc, _) => {
                Some(secured.sd_jwt_ref().map_or(Ok(()), crate::jose::sd_jwt::SdJwt::check_dc))
            }
            (Model::Vcdm, Role::Presentation) => Some(vcdm::check_presentation(&secured.document).map(drop)),
            (Model::Vcdm, _) => Some(vcdm::check_credential(&secured.document).map(drop).and(plain(secured))),
        };
        if let Some(model) = model {
            let looked_at = vcdm::types_of(&secured.document).len();
            self.check(state, "data_model", format!("{looked_at} types"), outcome(model));
        }
        let times = claims::validity(secured);
        let looked_at = match &times {
            Ok(times) => format!("{} at {}", period(times), text_of(expectation.now_s)),
            Err(_) => String::new(),
        };
        let dates = times.and_then(|times| times.check(expectation.now_s, expectation.skew_s));
        let token = secured.claims().map_or(Ok(()), |claims| {
            jose::check_time(claims, expectation.now_s, expectation.skew_s)?;
            let latest_s = expectation.now_s.saturating_add(expectation.skew_s);
            let issued_s = jose::seconds(claims, "iat")?;
            if issued_s.is_some_and(|issued| issued > latest_s) {
                Err(FormatError::NotYetValid)
            } else {
                Ok(())
            }
        });
        self.check(state, "dates", looked_at, outcome(dates.and(token)));
        if matches!(self.role, Role::Credential { .. }) && !expectation.types.is_empty() {
            let types = claims::types(secured);
            let wanted = types.iter().any(|name| expectation.types.contains(name));
            let problem =
                Problem::new("credential.type", "the credential is of none of the types that are relied on");
            let result = if wanted { Outcome::Passed } else { Outcome::Invalid(problem) };
            self.check(state, "type", expectation.types.join(", "), result);
        }
    }

    /// Goes as far as the evidence reaches; true if it went anywhere.
    pub(super) fn advance(&mut self, expectation: &Expectation, state: &mut State) -> bool {
        let before = self.stage;
        if self.stage == Stage::Signatures && keys::advance(self, expectation, state) {
            self.stage = if self.failed { Stage::Done } else { Stage::Claims };
            if self.failed {
                self.finish(state, expectation);
            }
        }
        if self.stage == Stage::Claims && claims::advance(self, expectation, state) {
            self.finish(state, expectation);
        }
        self.stage != before
    }

    fn finish(&mut self, state: &mut State, expectation: &Expectation) {
        self.stage = Stage::Done;
        if let Role::List { .. } = self.role {
            lists::finish(self, state, expectation);
        }
    }

    /// Records a check. A status list that is not good leaves open what it would have said: that is not a verdict on
    /// the credential that led to it.
    pub(super) fn check(
        &mut self,
        state: &mut State,
        name: &'static str,
        looked_at: String,
        outcome: Outcome,
    ) {
        let outcome = match (outcome, &self.role) {
            (Outcome::Invalid(problem), Role::List { .. }) => Outcome::Undecided(problem),
            (outcome, _) => outcome,
        };
        self.failed |= matches!(outcome, Outcome::Invalid(_) | Outcome::Undecided(_));
        state.checks.push(Check { name, part: self.part.clone(), looked_at, outcome });
    }

    pub(super) fn role(&self) -> &Role {
        &self.role
    }

    pub(super) fn part(&self) -> &str {
        &self.part
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// Takes out what was read, for as long as it is looked at.
    pub(super) fn take_secured(&mut self) -> Option<Secured> {
        self.secured.take()
    }

    /// Puts it back.
    pub(super) fn put_secured(&mut self, secured: Secured) {
        self.secured = Some(secured);
    }

    pub(super) fn party(&self) -> Option<&str> {
        self.party.as_deref()
    }

    pub(super) fn signers(&self) -> &[SigningParty] {
        &self.signers
    }

    pub(super) fn signers_mut(&mut self) -> &mut Vec<SigningParty> {
        &mut self.signers
    }

    pub(super) fn bound(&self) -> Option<&VerificationKey> {
        self.bound.as_ref()
    }

    pub(super) fn set_bound(&mut self, key: VerificationKey) {
        self.bound = Some(key);
    }

    /// The DID that signed for the party.
    pub(super) fn signer(&self) -> Option<&str> {
        let of_party = |signer: &&SigningParty| self.party.as_ref().is_none_or(|party| *party == signer.did);
        self.signers.iter().find(of_party).map(|signer| signer.did.as_str())
    }

    /// What the relationship in the signer's document is called.
    pub(super) fn purpose(&self) -> &'static str {
        if self.role == Role::Presentation { "authentication" } else { "assertionMethod" }
    }

    /// What was read, and whose it is.
    pub(super) fn into_parts(self) -> Option<(Secured, Option<String>)> {
        let signer = self.signer().map(str::to_owned);
        let party = self.party.or(signer);
        self.secured.map(|secured| (secured, party))
    }

    /// Whether an issuer's accreditation is asked for.
    pub(super) fn wants_accreditation(&self, expectation: &Expectation) -> bool {
        let of_ledger = self.party().is_some_and(|issuer| issuer.starts_with("did:aval:"));
        match expectation.accreditation {
            AccreditationPolicy::Ignored => false,
            AccreditationPolicy::OfLedger => of_ledger,
            AccreditationPolicy::Required => true,
        }
    }
}

/// Members of VCDM that decide validity and must not be selectively disclosable.
const PLAIN: [&str; 8] =
    ["@context", "type", "issuer", "validFrom", "validUntil", "credentialStatus", "credentialSchema", "cnf"];

fn plain(secured: &Secured) -> Result<(), FormatError> {
    match secured.sd_jwt_ref() {
        Some(sd_jwt) if PLAIN.iter().any(|name| !sd_jwt.is_plain(name)) => {
            Err(FormatError::Disclosure("a member that decides validity is selectively disclosable"))
        }
        _ => Ok(()),
    }
}

/// Whether a secured form that may be a presentation holds a credential.
fn is_credential(secured: &Secured) -> bool {
    use crate::jose::sd_jwt::VP_SD_JWT;
    secured.sd_jwt_ref().is_some() && secured.format != VP_SD_JWT
}

fn is_credential_of_itself(items: &[Item]) -> bool {
    items.first().and_then(|item| item.secured.as_ref()).is_some_and(is_credential)
}

/// A credential in a presentation: enveloped, with proofs, or in 1.1 a token.
fn inner_input(credential: &Value) -> Input {
    match credential {
        Value::String(token) => Input::Text(token.clone()),
        other => Input::Json(other.clone()),
    }
}

pub(super) fn outcome(result: Result<(), FormatError>) -> Outcome {
    result.map_or_else(Outcome::from, |()| Outcome::Passed)
}

/// A time as it is shown.
pub(super) fn text_of(seconds: i64) -> String {
    date::format(seconds).unwrap_or_else(|| seconds.to_string())
}

fn period(validity: &vcdm::Validity) -> String {
    let side = |seconds: Option<i64>| seconds.map_or_else(|| "open".to_owned(), text_of);
    format!("{} to {}", side(validity.from_s), side(validity.until_s))
}
