//! Putting any transaction together, also one that lies.

use aval_codec::Hash;
use aval_credential::{KeyBindingDraft, SdJwt, Selection, disclose, key_binding};
use aval_did::SigningKey;
use aval_types::transaction::SignError;
use aval_types::{Action, KeyId, NetworkId, Reject, SubmittedTransaction, TransactionBuilder};

use super::{Credential, Kit, Party};

/// A transaction in the making. What is not said is filled in truthfully.
#[derive(Debug, Clone)]
pub struct Draft<'kit> {
    kit: &'kit Kit,
    action: Action,
    signers: Vec<(Part, KeyId, SigningKey)>,
    presenting: Option<(SdJwt, SigningKey)>,
    window: (u64, u64),
    network: NetworkId,
    nonce: Option<String>,
    audience: Option<String>,
    sd_hash: Option<Hash>,
    tamper: Option<fn(&mut String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Sender,
    Controller,
    Endorser,
}

impl<'kit> Draft<'kit> {
    /// An action that nobody signs yet, valid from five seconds before the kit's time on, for as long as may be.
    pub fn new(kit: &'kit Kit, action: Action) -> Self {
        let begin = kit.now_s - 5;
        Self {
            kit,
            action,
            signers: Vec::new(),
            presenting: None,
            window: (begin, begin + 600),
            network: kit.network().clone(),
            nonce: None,
            audience: None,
            sd_hash: None,
            tamper: None,
        }
    }

    /// The party sends it.
    pub fn sender(self, party: &Party) -> Self {
        self.signed_by(Part::Sender, party.kid(), &party.authentication)
    }

    /// As many of the party's control keys sign as have to.
    pub fn controllers(self, party: &Party) -> Self {
        let count = usize::try_from(party.threshold).expect("a small number");
        party.controllers.iter().take(count).fold(self, |draft, key| draft.controller(party, key))
    }

    /// A key signs as the party's controller.
    pub fn controller(self, party: &Party, key: &SigningKey) -> Self {
        self.signed_by(Part::Controller, KeyId::new(party.did.clone(), key.public()), key)
    }

    /// The party endorses it.
    pub fn endorser(self, party: &Party) -> Self {
        self.signed_by(Part::Endorser, party.kid(), &party.authentication)
    }

    /// Presents a credential, disclosing nothing, with a key binding by `key`.
    pub fn presenting(self, credential: &Credential, key: &SigningKey) -> Self {
        self.disclosing(credential, &Selection::Nothing, key)
    }

    /// Presents a credential with a selection of its disclosures.
    pub fn disclosing(mut self, credential: &Credential, selection: &Selection, key: &SigningKey) -> Self {
        let disclosed = disclose(&credential.sd_jwt, selection).expect("the selection fits the credential");
        self.presenting = Some((disclosed.sd_jwt().clone(), key.clone()));
        self
    }

    /// Nobody signs any more.
    pub fn unsigned(mut self) -> Self {
        self.signers.clear();
        self
    }

    /// Sets the validity window.
    pub fn window(mut self, nbf: u64, exp: u64) -> Self {
        self.window = (nbf, exp);
        self
    }

    /// Names another network.
    pub fn network(mut self, network: NetworkId) -> Self {
        self.network = network;
        self
    }

    /// Makes the key binding for another nonce.
    pub fn nonce(mut self, nonce: impl ToString) -> Self {
        self.nonce = Some(nonce.to_string());
        self
    }

    /// Makes the key binding for another audience.
    pub fn audience(mut self, audience: impl ToString) -> Self {
        self.audience = Some(audience.to_string());
        self
    }

    /// Names another presentation in the payload.
    pub fn sd_hash(mut self, sd_hash: Hash) -> Self {
        self.sd_hash = Some(sd_hash);
        self
    }

    /// Changes the presentation after it is bound.
    pub fn tamper(mut self, tamper: fn(&mut String)) -> Self {
        self.tamper = Some(tamper);
        self
    }

    /// Signs; panics if the shape alone is refused.
    pub fn submit(self) -> SubmittedTransaction {
        self.try_submit().expect("the transaction has a shape that is read")
    }

    /// Signs; the shape may be refused already.
    pub fn try_submit(self) -> Result<SubmittedTransaction, Reject> {
        let (nbf, exp) = self.window;
        let mut builder =
            TransactionBuilder::new(self.network, self.action, self.kit.next_jti(), nbf).exp(exp);
        for (part, kid, _) in &self.signers {
            builder = match part {
                Part::Sender => builder.sender(kid.clone()),
                Part::Controller => builder.controller(kid.clone()),
                Part::Endorser => builder.endorser(kid.clone()),
            };
        }
        if let Some((sd_jwt, _)) = &self.presenting {
            builder = builder.presentation(self.sd_hash.unwrap_or_else(|| sd_jwt.sd_hash()));
        }
        let unsigned = builder.build()?;
        let presentation = self.presenting.map(|(sd_jwt, key)| {
            let nonce = self.nonce.unwrap_or_else(|| unsigned.id().to_string());
            let audience = self.audience.unwrap_or_else(|| self.kit.network().to_string());
            let issued_at_s = i64::try_from(self.kit.now_s).expect("a time in this era");
            let draft = KeyBindingDraft { nonce: &nonce, audience: &audience, issued_at_s };
            let mut text =
                format!("{}{}", sd_jwt.as_str(), key_binding::sign(&key, sd_jwt.sd_hash(), &draft));
            if let Some(tamper) = self.tamper {
                tamper(&mut text);
            }
            text.into_bytes()
        });
        let keys: Vec<&SigningKey> = self.signers.iter().map(|(_, _, key)| key).collect();
        let transaction = unsigned.sign(&keys).map_err(|error| match error {
            SignError::Refused(reject) => reject,
            other => panic!("the draft's own keys sign it: {other}"),
        })?;
        Ok(SubmittedTransaction::new(transaction, presentation))
    }

    fn signed_by(mut self, part: Part, kid: KeyId, key: &SigningKey) -> Self {
        self.signers.push((part, kid, key.clone()));
        self
    }
}
