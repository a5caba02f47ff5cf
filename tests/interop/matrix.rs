//! The lines that a test of interoperability prints, one for each format and direction. `tests/interop/run` makes a
//! table of them. A line that failed does not keep the others from being tried; the test fails at its end.

/// The lines of one test.
#[derive(Default)]
pub(crate) struct Matrix {
    failures: Vec<String>,
}

impl Matrix {
    /// One line: who made what, who read it, and that it was accepted and everything forged refused, or why not.
    pub(crate) fn row(&mut self, format: &str, maker: &str, reader: &str, outcome: Result<usize, String>) {
        match outcome {
            Ok(forged) => println!("\nmatrix|{format}|{maker}|{reader}|accepted, {forged} forged refused"),
            Err(reason) => {
                println!("\nmatrix|{format}|{maker}|{reader}|FAILED: {}", reason.replace(['\n', '|'], " "));
                self.failures.push(format!("{format}, {maker} -> {reader}: {reason}"));
            }
        }
    }

    /// Fails if a line did.
    pub(crate) fn finish(self) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}
