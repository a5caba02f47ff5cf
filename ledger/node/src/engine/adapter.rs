//! Our application in the engine's clothes: proposals, verdicts and finalized blocks.

use std::sync::Arc;

use aval_proof::Certificate;
use aval_types::action::NodeEvidence;
use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_consensus::marshal::Update;
use commonware_consensus::marshal::ancestry::Ancestry as EngineAncestry;
use commonware_consensus::marshal::core::Mailbox;
use commonware_consensus::marshal::standard::Standard;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Height;
use commonware_consensus::{Application as EngineApplication, Reporter};
use commonware_cryptography::Digested;
use commonware_runtime::Clock;
use commonware_utils::acknowledgement::Exact;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use tracing::{error, warn};

use super::block::{EngineBlock, EngineContext, slot};
use super::{Ancestry, Application, Fatal, SealedBlock, Slot, certificate};

/// An application of any type behind a pointer, so that the engine is compiled once and not for each of them.
pub(super) trait ErasedApplication: Send + Sync + 'static {
    fn propose(&self, slot: Slot, ancestry: Ancestry) -> BoxFuture<'_, Option<Arc<SealedBlock>>>;
    fn verify(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> BoxFuture<'_, bool>;
    fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> BoxFuture<'_, Result<(), Fatal>>;
    fn observe_tip(&self, height: u64);
    fn message(&self, sender: [u8; 32], message: Bytes);
    fn is_fed_up_with(&self, _sender: [u8; 32]) -> bool {
        false
    }
    fn fault(&self, evidence: NodeEvidence);
}

impl<A: Application> ErasedApplication for A {
    fn propose(&self, slot: Slot, ancestry: Ancestry) -> BoxFuture<'_, Option<Arc<SealedBlock>>> {
        Application::propose(self, slot, ancestry).boxed()
    }

    fn verify(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> BoxFuture<'_, bool> {
        Application::verify(self, block, ancestry).boxed()
    }

    fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> BoxFuture<'_, Result<(), Fatal>> {
        Application::finalized(self, block, certificate).boxed()
    }

    fn observe_tip(&self, height: u64) {
        Application::observe_tip(self, height);
    }

    fn message(&self, sender: [u8; 32], message: Bytes) {
        Application::message(self, sender, message);
    }

    fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        Application::is_fed_up_with(self, sender)
    }

    fn fault(&self, evidence: NodeEvidence) {
        Application::fault(self, evidence);
    }
}

/// The application as the engine holds it.
pub(super) type SharedApplication = Arc<dyn ErasedApplication>;

/// Asks the application for proposals and verdicts.
#[derive(Clone)]
pub(super) struct Adapter {
    application: SharedApplication,
}

impl Adapter {
    pub(super) fn new(application: SharedApplication) -> Self {
        Self { application }
    }
}

impl<E: Clock> EngineApplication<E> for Adapter {
    type SigningScheme = Scheme;
    type Context = EngineContext;
    type Block = EngineBlock;
    type Input = ();

    async fn propose(
        &mut self,
        (_, context): (E, EngineContext),
        ancestry: impl EngineAncestry<EngineBlock>,
        (): (),
    ) -> Option<Digested<EngineBlock>> {
        let sealed = self.application.propose(slot(&context), ancestors(ancestry)).await?;
        EngineBlock::digested(sealed).ok()
    }

    async fn verify(
        &mut self,
        (_, context): (E, EngineContext),
        mut ancestry: impl EngineAncestry<EngineBlock>,
    ) -> bool {
        // The stream starts with the block in question; without it there is nothing to say, which is no verdict.
        let Some(block) = ancestry.next().await else {
            return std::future::pending().await;
        };
        let sealed = block.inner().sealed().clone();
        // The engine compared the block's place with the one it was proposed for before it asked for votes.
        debug_assert_eq!(slot(&context).view, sealed.block().header.view);
        self.application.verify(sealed, ancestors(ancestry)).await
    }
}

fn ancestors(ancestry: impl EngineAncestry<EngineBlock>) -> Ancestry {
    ancestry.map(|block| block.inner().sealed().clone()).boxed()
}

/// What the engine reports as finalized, on its way to [`commit`].
#[derive(Clone)]
pub(super) struct FinalizedReporter {
    application: SharedApplication,
    // Unbounded, but the engine itself has at most a fixed number of unacknowledged blocks under way.
    blocks: mpsc::UnboundedSender<(Arc<SealedBlock>, Exact)>,
}

impl FinalizedReporter {
    pub(super) fn new(
        application: SharedApplication,
    ) -> (Self, mpsc::UnboundedReceiver<(Arc<SealedBlock>, Exact)>) {
        let (blocks, receiver) = mpsc::unbounded();
        (Self { application, blocks }, receiver)
    }
}

impl Reporter for FinalizedReporter {
    type Activity = Update<EngineBlock>;

    fn report(&mut self, update: Update<EngineBlock>) -> Feedback {
        match update {
            Update::Tip(_, height, _) => self.application.observe_tip(height.get()),
            Update::Block(block, acknowledgement) => {
                // The receiver is gone only when the node stops; the block is delivered again after the restart.
                let _ = self.blocks.unbounded_send((block.inner().sealed().clone(), acknowledgement));
            }
        }
        Feedback::Ok
    }
}

/// Hands a finalized block to the application with its certificate. Returns once it is durable; an error means that the
/// application cannot go on, and that the block is delivered again after a restart.
pub(super) async fn commit(
    application: &SharedApplication,
    marshal: &Mailbox<Scheme, Standard<EngineBlock>>,
    block: &Arc<SealedBlock>,
) -> Result<(), Fatal> {
    let height = block.height();
    let finalization = marshal.get_finalization(Height::new(height)).await;
    let certificate = finalization.as_ref().and_then(certificate::from_engine);
    if finalization.is_some() && certificate.is_none() {
        warn!(height, "a certificate could not be converted");
    }
    application.finalized(block.clone(), certificate).await.inspect_err(|fatal| {
        error!(height, %fatal, "the node cannot commit a finalized block and stops");
    })
}
