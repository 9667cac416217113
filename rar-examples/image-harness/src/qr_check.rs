//! The pages of a report, photographed in several ways and read by two decoders: what people do who
//! have nothing but a screen.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Error, Result, bail, ensure};
use rar_camera::{Picture, SHOTS, read_codes};
use rar_harness::interrupt;
use rar_harness::process::{Cmd, Verbosity, utf8};
use rar_harness::records::Transcript;
use rar_harness::setup::{self, Install};
use rar_report::PartHead;
use rar_vocabulary::Counts;

use crate::expected_report::{open, serial_report};
use crate::screen_watcher::Page;

/// A blot that the codes correct. It covers none of the marks by which decoders find modules: with
/// those, corrected or not, zbarimg loses one code in eight.
const SMALL_BLOT: Blot = Blot {
    left: 31,
    top: 68,
    side: 16,
};
/// A blot that they cannot correct, in the middle.
const LARGE_BLOT: Blot = Blot {
    left: 50,
    top: 50,
    side: 52,
};
/// What zbarimg ends with if a picture has no code.
const NO_CODE: i32 = 4;

/// A square that is inverted: its middle and its side in hundredths of the screen's height, as the
/// code's are.
#[derive(Clone, Copy, Debug)]
struct Blot {
    left: usize,
    top: usize,
    side: usize,
}

impl Blot {
    fn on(self, page: &Picture) -> Picture {
        let share = |hundredths| page.height() * hundredths / 100;
        page.blotted((share(self.left), share(self.top)), share(self.side))
    }
}

/// What each decoder reads, by its name.
type Texts = [(&'static str, Vec<String>); 2];

/// Compares the report on the screen with the one of the serial line, byte for byte.
pub(crate) fn check(
    transcript: &Transcript,
    pages: &[Page],
    verbosity: Verbosity,
) -> Result<Counts> {
    let program = setup::barcodes(Install::Allowed, verbosity)?;
    judge(transcript, pages, |photos| {
        let rqrr = photos.iter().flat_map(read_codes).collect();
        let zbarimg = zbarimg(&program, photos, verbosity)?;
        Ok([("rqrr", rqrr), ("zbarimg", zbarimg)])
    })
}

fn judge(
    transcript: &Transcript,
    pages: &[Page],
    read: impl Fn(&[Picture]) -> Result<Texts>,
) -> Result<Counts> {
    let serial = serial_report(transcript).map_err(Error::msg)?;
    let first = pages.first().context("no page with a code was seen")?;
    let (head, _) = PartHead::read(&first.text).context("a page without a part")?;
    let mut count = Counts::NONE;
    for shot in SHOTS {
        interrupt::check()?;
        let photos: Vec<_> = pages.iter().map(|page| shot.take(&page.picture)).collect();
        for (decoder, texts) in read(&photos)? {
            same(&texts, &serial).with_context(|| format!("{}, by {decoder}", shot.name))?;
            count.passed += 1;
        }
    }
    let mut photos: Vec<_> = pages.iter().map(|page| page.picture.clone()).collect();
    let mut cover = |blot: Blot| {
        if let Some(photo) = photos.first_mut() {
            *photo = blot.on(&first.picture);
        }
        read(&photos)
    };
    for (decoder, texts) in cover(SMALL_BLOT)? {
        same(&texts, &serial).with_context(|| format!("a small blot, by {decoder}"))?;
        count.passed += 1;
    }
    for (decoder, texts) in cover(LARGE_BLOT)? {
        refused(&texts, head).with_context(|| format!("a large blot, by {decoder}"))?;
        count.passed += 1;
    }
    Ok(count)
}

/// These texts are the report of the serial line.
fn same(texts: &[String], serial: &[u8]) -> Result<()> {
    let report = open(&texts.join("\n")).map_err(Error::msg)?;
    ensure!(
        report == serial,
        "{} bytes differ from the {} of the serial line",
        report.len(),
        serial.len()
    );
    Ok(())
}

/// Checks that a reader of these texts reports that this part is missing.
fn refused(texts: &[String], part: PartHead) -> Result<()> {
    let missing = format!("part {} of {} is missing", part.number, part.count);
    match open(&texts.join("\n")) {
        Err(why) if why.contains(&missing) => Ok(()),
        Err(why) => bail!("not `{missing}` but: {why}"),
        Ok(_) => bail!("not `{missing}`: the report is whole"),
    }
}

/// Returns what the program zbarimg reads.
fn zbarimg(program: &Path, photos: &[Picture], verbosity: Verbosity) -> Result<Vec<String>> {
    let folder = tempfile::Builder::new().prefix("rar-photos-").tempdir();
    let folder = folder.context("cannot create a folder for photos")?;
    let mut cmd = Cmd::new(utf8(program)?);
    cmd = cmd.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]);
    for (number, photo) in photos.iter().enumerate() {
        let path = folder.path().join(format!("{number:03}.pgm"));
        fs::write(&path, photo.to_pgm())
            .with_context(|| format!("cannot write {}", path.display()))?;
        cmd = cmd.arg(utf8(&path)?);
    }
    let captured = cmd.capture(verbosity)?;
    ensure!(
        matches!(captured.status.code(), Some(0 | NO_CODE)),
        "zbarimg fails: {}",
        captured.both
    );
    Ok(captured.stdout.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use rar_report::{EndReason, Fact, Parts, Record, SerialLine, Symbol, Writer, seal};
    use serde_json::Value;

    use super::*;
    use crate::expected_report::tests::transcript;

    /// Returns the lines of a report of several parts.
    fn lines(reason: EndReason) -> Vec<String> {
        let (mut memory, mut sealed) = ([0; 4096], [0; 4096]);
        let mut writer = Writer::new(&mut memory, 7, "test");
        for number in 0..40_u32 {
            let value = &number.wrapping_mul(0x9e37_79b9).to_string();
            writer.push(&Record::Fact(Fact { key: "k", value }));
        }
        let sealed = seal(writer.finish(reason), &mut sealed).unwrap();
        let parts = Parts::new(sealed, 7, Symbol::new(5).unwrap()).unwrap();
        let lines = parts.iter().map(|part| SerialLine(part).to_string());
        lines.collect()
    }

    /// Returns pages whose first pixel is their number: a decoder for them is easily made.
    fn pages(lines: &[String]) -> Vec<Page> {
        let text = |line: &String| {
            let line: Value = serde_json::from_str(line.strip_prefix("@r ").unwrap()).unwrap();
            line["qr"].as_str().unwrap().to_owned()
        };
        let page = |(number, line)| Page {
            text: text(line),
            picture: Picture::new(2, 2, |_, _| number),
        };
        (1..).zip(lines).map(page).collect()
    }

    /// Judges with a second decoder that reads `reads(time)` of a screen's photos.
    fn judged(
        lines: &[String],
        serial: &[String],
        reads: impl Fn(usize) -> usize,
    ) -> Result<Counts> {
        let pages = pages(lines);
        let texts: Vec<_> = pages.iter().map(|page| page.text.clone()).collect();
        let photographed = std::cell::Cell::new(0);
        judge(&transcript(serial), &pages, |photos| {
            let time = photographed.replace(photographed.get() + 1);
            // The last time the first page is covered.
            let readable = texts
                .get(usize::from(time > SHOTS.len())..)
                .unwrap()
                .to_vec();
            let most = reads(time).min(photos.len());
            let some = texts.iter().rev().take(most).cloned().collect();
            Ok([("good", readable), ("other", some)])
        })
    }

    #[test]
    fn both_decoders_need_every_page_each_time_but_the_covered_one() {
        let lines = lines(EndReason::Complete);
        assert!(lines.len() > 1);
        let whole = |time| lines.len() - usize::from(time > SHOTS.len());
        let count = judged(&lines, &lines, whole).unwrap();
        assert_eq!(count.passed, 2 * (SHOTS.len() + 2));
        let missing = format!("part 1 of {} is missing", lines.len());
        for lost in 0..=SHOTS.len() {
            let reads = |time| whole(time) - usize::from(time == lost);
            let why = format!("{:#}", judged(&lines, &lines, reads).unwrap_err());
            assert!(why.contains("by other") && why.contains(&missing), "{why}");
        }
        let why = format!("{:#}", judged(&lines, &lines, |_| lines.len()).unwrap_err());
        assert!(
            why.contains("a large blot, by other") && why.contains("whole"),
            "{why}"
        );
    }

    #[test]
    fn another_report_on_the_serial_line_is_seen() {
        let (shown, told) = (lines(EndReason::Complete), lines(EndReason::Hung));
        let why = judged(&shown, &told, |_| shown.len()).unwrap_err();
        assert!(format!("{why:#}").contains("differ from"), "{why:#}");
        assert!(judged(&shown, &[], |_| shown.len()).is_err());
        assert!(judged(&[], &told, |_| 0).is_err());
    }
}
