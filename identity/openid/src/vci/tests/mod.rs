//! The whole exchange in memory, and every refusal in it.

mod additions;
mod exchange;
mod login;
mod offers;
mod refusals_of_issuer;
mod refusals_of_wallet;
mod sd_jwt_vc;
mod world;
