//! Whether a policy leaves the network able to govern itself.
//!
//! Governors must always be able to propose and to vote, and everybody to rotate and to end a DID by its
//! control keys. To make sure of this and not merely likely, the policies that can decide about these actions
//! may ask about nothing but whether the actor governs, what it is accredited as, and whether the DID is its
//! own; then every case can be tried.

use super::{Input, Policy};

const GOVERN: [&str; 2] = ["governance.propose", "governance.vote"];
const CONTROL: [&str; 2] = ["did.rotate", "did.deactivate"];
const ACCREDITATIONS: [&str; 4] = ["none", "root", "body", "issuer"];
const ALLOWED: [&str; 3] = ["principal.governor", "principal.accreditation", "resource.own"];

/// Says in one sentence how a policy would lock its network out, if it would.
pub fn self_lock(policy: &Policy) -> Result<(), String> {
    for action in GOVERN.into_iter().chain(CONTROL) {
        let other = policy
            .attributes_of(action)
            .into_iter()
            .flatten()
            .find(|attribute| !ALLOWED.contains(&attribute.as_str()));
        if let Some(attribute) = other {
            return Err(format!("a policy about {action} asks for {attribute}"));
        }
        for accreditation in ACCREDITATIONS {
            for governor in [true, false] {
                let is_control = CONTROL.contains(&action);
                if !governor && !is_control {
                    continue;
                }
                let input = Input { action, governor, accreditation, own: is_control, ..Input::default() };
                if !policy.decide(&input).allowed || policy.decide(&input).failed {
                    let who = if governor { "a governor" } else { "a DID" };
                    return Err(format!("{who} with accreditation {accreditation} could not {action}"));
                }
            }
        }
    }
    Ok(())
}
