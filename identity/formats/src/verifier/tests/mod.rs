mod cases;
mod positive;
mod properties;
mod schemas;
mod vectors;
pub(crate) mod world;
