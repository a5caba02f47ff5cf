mod remembering;
mod suites;
