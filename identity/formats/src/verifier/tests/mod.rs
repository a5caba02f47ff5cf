mod cases;
mod certificates;
mod positive;
mod properties;
mod registries;
mod schemas;
mod vectors;
pub(crate) mod world;
