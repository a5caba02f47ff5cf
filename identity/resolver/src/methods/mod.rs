//! The DID methods: one module each, all with the same question.

pub(crate) mod aval;
pub(crate) mod holder;
pub(crate) mod location;
pub(crate) mod web;
pub(crate) mod webvh;
