//! QR codes in the terminal, two modules per character. Drawn dark on light by characters alone, so that they scan on
//! dark terminals, too.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// The picture, or nothing when the content is too long for one.
pub(super) fn render(content: &str) -> Option<String> {
    let code = QrCode::new(content.as_bytes()).ok()?;
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_fits_and_a_novel_does_not() {
        assert!(
            render("did:aval:demo:QmXoypizjW3WknFiJnKLwHCnL72vedxjQkDDP1mXWo6uco").unwrap().lines().count()
                > 10
        );
        assert!(render(&"x".repeat(5000)).is_none());
    }
}
