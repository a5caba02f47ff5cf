//! The credential endpoint and what may follow it: credentials that an operator has to approve first (OpenID4VCI 1.0
//! section 9), and what became of them in the wallet (section 11).

use super::access_token::Access;
use super::decisions::{Issuer, Refusal, read_session, secret, session_text};
use super::kind::Kind;
use super::make::make;
use crate::clock::now_s;
use crate::problem::Problem;
use crate::storage::{DeferralRow, Deferring, Entry, IssuanceRow, Issued, OfferRow, Spending, Spent};
use aval_codec::Json;
use aval_did::key::PublicKey;
use aval_openid::ErrorResponse;
use aval_openid::http::JSON;
use aval_openid::vci::encryption::{self, open_request};
use aval_openid::vci::{
    CredentialRequest, CredentialResponse, DeferredRequest, HolderKey, Notification, NotificationEvent,
    ResponseEncryption,
};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a wallet is told to wait before it asks again, seconds.
const INTERVAL_S: u64 = 5;
/// How long a wallet may ask for a deferred credential with its access token.
const DEFERRED_LIFE_S: i64 = 14 * 86_400;

/// An answer of the credential endpoints.
pub struct Delivered {
    /// 200, or 202 when the credential comes later.
    pub status: u16,
    /// JSON, or a JWE.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivered {
    fn of(response: &CredentialResponse, sealed_to: Option<&ResponseEncryption>) -> Result<Self, Refusal> {
        let status = if response.transaction_id.is_some() { 202 } else { 200 };
        let body = response.to_json();
        Ok(match sealed_to {
            None => Self { status, media_type: JSON, body },
            Some(encryption) => {
                let body = encryption.seal(&body)?.into_bytes();
                Self { status, media_type: encryption::MEDIA_TYPE, body }
            }
        })
    }
}

/// A key that a wallet has shown, as it is kept until the credential is made.
#[derive(Serialize, Deserialize)]
struct KeptHolder {
    jwk: Json,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    did: Option<String>,
}

impl Issuer {
    /// The credential endpoint.
    pub async fn issue(
        &self,
        access: &Access<'_>,
        media_type: &str,
        body: &[u8],
    ) -> Result<Delivered, Refusal> {
        let now_s = now_s();
        let row = self.let_in(access, "/credential", now_s).await?;
        let opened = open_request(media_type, body, Some(self.request_key().await?), false)?;
        let request = CredentialRequest::parse(&opened.body)?;
        let mut session = read_session(&row)?;
        let kind = self.kind_of(&row).await?;
        let accepted = self.protocol().accept_opened(&session, &request, opened.encrypted, now_s)?;
        session.complete(&accepted.configuration_id);
        let session = session_text(&session).map_err(|error| Refusal::Failed(error.to_string()))?;
        self.check_still_accredited(&kind, &row).await?;
        let holders: Vec<HolderKey> = accepted.holders().cloned().collect();
        let encryption = accepted.encryption.as_ref();
        if kind.options.approval {
            let name = self.defer(&row, &session, &accepted.nonce, &holders, now_s).await?;
            return Delivered::of(&CredentialResponse::deferred(name, INTERVAL_S), encryption);
        }
        let spent = Spent::Nonce(&accepted.nonce);
        Delivered::of(&self.deliver(&row, &kind, &session, spent, &holders, now_s).await?, encryption)
    }

    /// What the offer is of.
    async fn kind_of(&self, row: &OfferRow) -> Result<Kind, Refusal> {
        let template = match &row.template_id {
            Some(id) => self.records().template(id).await?,
            None => None,
        };
        if template.is_some() && !self.offers(&row.configuration) {
            self.follow_templates().await?;
        }
        Kind::of(self.config(), template.as_ref()).map_err(|problem| Refusal::Failed(problem.detail))
    }

    /// Makes the credentials of an offer, one for each key.
    async fn deliver(
        &self,
        row: &OfferRow,
        kind: &Kind,
        session: &str,
        spent: Spent<'_>,
        holders: &[HolderKey],
        now_s: i64,
    ) -> Result<CredentialResponse, Refusal> {
        let notification_id = secret();
        let spending = Spending { offer: row, session, spent, notification_id: &notification_id, now_s };
        let key = self.key_of(kind).map_err(|problem| Refusal::Failed(problem.detail))?;
        let mut wanted: Vec<IssuanceRow> = Vec::new();
        for holder in holders {
            let mut one = self.issuance(kind, &row.subject, holder, now_s);
            one.template_id = row.template_id.clone();
            one.subject_id = row.subject_id.clone();
            one.replaces = row.replaces.clone();
            one.key_id = key.id().to_owned();
            one.batch_of = wanted.first().map(|first| first.id.clone());
            wanted.push(one);
        }
        let draw = |size| rand::rng().random_range(0..size);
        let mut keys = holders.iter();
        let make = |issuance: &IssuanceRow| {
            let holder = keys.next().ok_or("there are more credentials than keys")?;
            make(self.keys(), &key, kind, issuance, holder)
        };
        match self.records().issue(&spending, &wanted, &kind.slots, draw, make).await? {
            Issued::Done(credentials) => {
                self.counters().issued.inc_by(credentials.len() as u64);
                let ids: Vec<&str> = wanted.iter().map(|one| one.id.as_str()).collect();
                tracing::info!(offer = row.id, issuances = ids.join(" "), "issued");
                Ok(CredentialResponse::of_all(credentials, Some(notification_id)))
            }
            Issued::NonceSpent => Err(match spent {
                Spent::Nonce(_) => ErrorResponse::invalid_nonce().into(),
                Spent::Approval(_) => ErrorResponse::invalid_transaction_id().into(),
            }),
            Issued::SessionMoved => Err(ErrorResponse::invalid_token().into()),
        }
    }

    /// Leaves a credential to an operator; gives the name that the wallet asks with.
    async fn defer(
        &self,
        row: &OfferRow,
        session: &str,
        nonce: &str,
        holders: &[HolderKey],
        now_s: i64,
    ) -> Result<String, Refusal> {
        let kept = holders.iter().map(|one| KeptHolder { jwk: one.key.to_jwk(), did: one.did.clone() });
        let holders = serde_json::to_string(&kept.collect::<Vec<_>>())
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        let name = secret();
        let deferral = DeferralRow {
            id: Uuid::new_v4().to_string(),
            offer_id: row.id.clone(),
            holders,
            state: "waiting".to_owned(),
            created_s: now_s,
        };
        let token_until_s = now_s.saturating_add(DEFERRED_LIFE_S);
        let deferring = Deferring { offer: row, session, nonce, transaction_id: &name, token_until_s, now_s };
        match self.records().defer(&deferring, &deferral).await? {
            Issued::Done(()) => {
                tracing::info!(offer = row.id, deferral = deferral.id, "deferred");
                Ok(name)
            }
            Issued::NonceSpent => Err(ErrorResponse::invalid_nonce().into()),
            Issued::SessionMoved => Err(ErrorResponse::invalid_token().into()),
        }
    }

    /// The endpoint for credentials that were not ready.
    pub async fn issue_deferred(
        &self,
        access: &Access<'_>,
        media_type: &str,
        body: &[u8],
    ) -> Result<Delivered, Refusal> {
        let now_s = now_s();
        let row = self.let_in(access, "/deferred_credential", now_s).await?;
        let opened = open_request(media_type, body, Some(self.request_key().await?), false)?;
        let request = DeferredRequest::parse(&opened.body)?;
        let asked = request.credential_response_encryption.as_ref();
        let encryption = ResponseEncryption::read(asked, opened.encrypted, false)?;
        let name = request.transaction_id;
        let deferral = self.records().deferral(&name).await?.filter(|deferral| deferral.offer_id == row.id);
        let deferral = deferral.ok_or(ErrorResponse::invalid_transaction_id())?;
        match deferral.state.as_str() {
            "waiting" => Delivered::of(&CredentialResponse::deferred(name, INTERVAL_S), encryption.as_ref()),
            "refused" => {
                Err(ErrorResponse::credential_request_denied("the issuer decided against it").into())
            }
            "approved" => {
                let kind = self.kind_of(&row).await?;
                self.check_still_accredited(&kind, &row).await?;
                let holders = read_holders(&deferral.holders).map_err(Refusal::Failed)?;
                let spent = Spent::Approval(&name);
                let session = row.session.clone();
                let response = self.deliver(&row, &kind, &session, spent, &holders, now_s).await?;
                Delivered::of(&response, encryption.as_ref())
            }
            _ => Err(ErrorResponse::invalid_transaction_id().into()),
        }
    }

    /// The notification endpoint. The same message may come again.
    pub async fn notified(&self, access: &Access<'_>, body: &[u8]) -> Result<(), Refusal> {
        let now_s = now_s();
        let row = self.let_in(access, "/notification", now_s).await?;
        let said = Notification::parse(body)?;
        let event = match said.event {
            NotificationEvent::CredentialAccepted => "credential_accepted",
            NotificationEvent::CredentialFailure => "credential_failure",
            NotificationEvent::CredentialDeleted => "credential_deleted",
        };
        // What the wallet says besides is foreign text, perhaps about a person: it is not kept.
        match self.records().note_delivery(&row.id, &said.notification_id, event, now_s).await? {
            true => Ok(()),
            false => Err(ErrorResponse::invalid_notification_id().into()),
        }
    }

    /// Decides on a credential that waits. The wallet gets it, or a refusal, when it asks again.
    pub async fn decide(&self, id: &str, approve: bool, operator: &str) -> Result<(), Problem> {
        let (state, event) =
            if approve { ("approved", "credential.approved") } else { ("refused", "credential.refused") };
        let entry = Entry::of(operator, event, id, now_s());
        match self.records().decide_deferral(id, state, &entry).await? {
            true => Ok(()),
            false => Err(Problem::not_found("no credential waits under this id")),
        }
    }
}

fn read_holders(text: &str) -> Result<Vec<HolderKey>, String> {
    let kept: Vec<KeptHolder> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let read = kept.into_iter().map(|one| {
        let key = PublicKey::from_jwk(&one.jwk).map_err(|error| error.to_string())?;
        Ok(HolderKey { key, did: one.did })
    });
    read.collect()
}
