//! How many codes a full run takes, and that they can be read back from their pictures.

mod common;

use rar_report::{Parts, SerialLine, Symbol, open, qr, read_part, seal};

#[test]
fn a_full_run_fits_in_twenty_codes() {
    let mut memory = vec![0; 65536];
    let mut sealed = vec![0; 65536];
    let report = common::write_typical(&mut memory);
    let sealed = seal(report, &mut sealed).unwrap();
    let parts = Parts::new(sealed, common::ID, Symbol::DEFAULT).unwrap();
    println!(
        "{} bytes, sealed {}, {} codes",
        report.len(),
        sealed.len(),
        parts.count()
    );
    assert!(parts.count() <= 20, "{} codes", parts.count());
}

/// Reads a code from its picture, four pixels a module, quiet zone included.
#[expect(clippy::panic, reason = "a helper of tests")]
fn read_picture(code: &qr::Code<'_>) -> String {
    const SCALE: usize = 4;
    let side = (code.size() as usize + 8) * SCALE;
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| {
        let module = |pixel: usize| {
            (pixel / SCALE)
                .checked_sub(4)
                .and_then(|module| u32::try_from(module).ok())
        };
        let dark = module(x)
            .zip(module(y))
            .is_some_and(|(x, y)| code.is_dark(x, y));
        if dark { 0 } else { 255 }
    });
    let grids = picture.detect_grids();
    assert_eq!(grids.len(), 1);
    let decoded = grids.first().map(|grid| grid.decode());
    match decoded {
        Some(Ok((_, text))) => text,
        other => panic!("no code: {other:?}"),
    }
}

#[test]
fn pictures_and_serial_lines_carry_the_same_bytes() {
    let mut memory = vec![0; 65536];
    let mut sealed = vec![0; 65536];
    let report = common::write_typical(&mut memory);
    let sealed = seal(report, &mut sealed).unwrap();
    let mut buffers = qr::Buffers::new();
    for version in [5, 13, 25] {
        let parts = Parts::new(sealed, common::ID, Symbol::new(version).unwrap()).unwrap();
        let mut from_pictures = Vec::new();
        for part in parts.iter() {
            let mut room = [0; 2048];
            let code = qr::Code::new(part, &mut buffers).unwrap();
            assert_eq!(code.size(), part.symbol().modules());
            let text = read_picture(&code);
            assert_eq!(text, part.to_string());
            let (head, data) = read_part(&text, &mut room).unwrap();
            assert_eq!(head, part.head());
            from_pictures.extend_from_slice(data);
            let line = SerialLine(part).to_string();
            assert_eq!(
                line,
                format!(
                    "@r {{\"part\":{},\"of\":{},\"qr\":\"{text}\"}}",
                    head.number, head.count
                )
            );
        }
        assert_eq!(from_pictures, sealed);
        let mut opened = vec![0; report.len() + 1];
        assert_eq!(open(&from_pictures, &mut opened).unwrap(), report);
    }
}
