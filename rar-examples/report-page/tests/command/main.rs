//! The command as its users call it.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a panic fails the test"
)]

#[path = "../../../report/tests/common/mod.rs"]
mod common;
mod runs;

use rar_report::{Backend, Disturbances, EndReason, Outcome, Record, Symbol, TestResult, Writer};

use runs::{lines, read, run, small, typical, write};

#[test]
fn a_serial_log_becomes_a_page_and_json() {
    let dir = tempfile::tempdir().unwrap();
    let log = format!(
        "GRUB loading\r\n\u{1b}[2J{}\r\nreboot\r\n",
        typical().join("\r\nnoise from a driver\r\n")
    );
    write(&dir, "serial.log", &log);
    let ran = run(
        dir.path(),
        &["serial.log", "--html", "out.html", "--json", "out.json"],
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let line = "report C0FFEE42: Intel(R) Xeon(R) Platinum 8480+ (0x6/0x8f/8), \
        microcode 0x2b000590: VIOLATED";
    assert!(ran.out.contains(line), "{}", ran.out);
    let page = read(&dir, "out.html");
    for text in [
        r#"<p class="word">VIOLATED</p>"#,
        "IA32_CORE_CAPABILITIES (0xcf)",
        "0x7b",
        "violated: CPU",
        "CPU stopped answering",
        "p99",
        "tests end differently",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for name in common::names() {
        assert!(page.contains(&format!("<code>{name}</code>")), "{name}");
    }
    assert!(page.matches("<svg").count() > 100);
    for loaded in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    let json: serde_json::Value = serde_json::from_str(&read(&dir, "out.json")).unwrap();
    assert_eq!(json["reports"][0]["results"].as_array().unwrap().len(), 300);
    assert_eq!(json["reports"][0]["machine"]["apic"], "x2apic-by-firmware");
    assert_eq!(
        json["reports"][0]["registers"][0]["info"]["value"],
        0x3F_0000_0000_u64
    );
    assert_eq!(json["reports"][0]["end"]["reason"], "complete");
}

#[test]
fn page_and_json_say_what_open_questions_come_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = [0; 8192];
    let mut writer = Writer::new(&mut memory, 7, "0.1.0");
    let stale = Outcome::Violated {
        initiator: 1,
        why: "stale",
    };
    for (backend, name, outcome) in [
        (Backend::Hardware, "unit-stores", stale),
        (Backend::Vrar, "unit-stores", Outcome::Holds),
        (Backend::Vrar, "unit-guest", Outcome::NotRun("no guests")),
        (
            Backend::Vrar,
            "unit-failure-causes",
            Outcome::Observed("bit 16 F; 2M at 4K F"),
        ),
    ] {
        writer.push(&Record::Result(TestResult {
            backend,
            name,
            outcome,
            initiators: 1,
            fallbacks: 0,
            resignals: 0,
            disturbances: Disturbances {
                nmis: 4,
                ..Disturbances::NONE
            },
        }));
    }
    let log = lines(writer.finish(EndReason::Complete), 7, Symbol::DEFAULT).join("\n");
    write(&dir, "serial.log", &log);
    let ran = run(
        dir.path(),
        &["serial.log", "--html", "out.html", "--json", "out.json"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let disturbed = "not run; disturbed by 12 foreign NMIs";
    assert!(ran.out.contains(disturbed), "{}", ran.out);
    let page = read(&dir, "out.html");
    for text in [
        "Open questions",
        "No</span><span class=\"tally\">2, a test was violated: read what did not hold</span>",
        "<strong>It follows: </strong>RAR cannot be used to free memory.",
        "reserved bit 16 of quadword 0:</span> <span class=\"what\">FAILURE, nothing flushed",
        "2M stride at an address aligned to 4K:",
        "violated: stale (initiator CPU 1)",
        "not run: no guests",
        ", disturbed by 4 foreign NMIs",
        "not testable: the suite programs no device",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&read(&dir, "out.json")).unwrap();
    assert_eq!(json["reports"][0]["results"][0]["disturbances"]["nmis"], 4);
    let questions = json["reports"][0]["questions"].as_array().unwrap();
    let stores = questions.iter().find(|one| one["id"] == "6-status-last");
    let answers = &stores.unwrap()["answers"];
    assert_eq!(answers[0]["backend"], "hardware");
    assert_eq!(
        (&answers[0]["means"], &answers[1]["means"]),
        (&"not-so".into(), &"so".into())
    );
}

#[test]
fn scanned_texts_and_serial_log_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let lines = typical();
    write(&dir, "serial.log", &lines.join("\n"));
    // Backwards, twice, in small letters, wrapped by a terminal.
    let mut scanned = String::new();
    for line in lines.iter().rev().chain(&lines) {
        let text = line.split('"').nth_back(1).unwrap().to_lowercase();
        let (first, second) = text.split_at(77);
        scanned.push_str(&format!("QR code, 2026-11-25:\n{first}\n{second}\n\n"));
    }
    write(&dir, "codes.txt", &scanned);
    assert_eq!(run(dir.path(), &["serial.log", "--json", "a.json"]).code, 0);
    assert_eq!(run(dir.path(), &["codes.txt", "--json", "b.json"]).code, 0);
    assert_eq!(
        read(&dir, "a.json").replace("serial.log", "codes.txt"),
        read(&dir, "b.json")
    );
    let texts: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(run(dir.path(), &texts).code, 0);
}

#[test]
fn missing_and_damaged_parts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = typical();
    let count = lines.len();
    lines[6].replace_range(100..101, "\u{FFFD}");
    lines.remove(2);
    write(&dir, "serial.log", &lines.join("\n"));
    let ran = run(dir.path(), &["serial.log", "--html", "out.html"]);
    assert_eq!(ran.code, 1);
    let named = format!(
        "report C0FFEE42 (serial.log): parts 3 and 7 of {count} are missing (7 found damaged): \
         scan them again"
    );
    assert!(ran.err.contains(&named), "{}", ran.err);
    assert!(read(&dir, "out.html").contains("parts 3 and 7 of"));
    let ran = run(
        dir.path(),
        &["serial.log", "--partial", "--html", "out.html"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = read(&dir, "out.html");
    assert!(page.contains("only the beginning is shown: parts 3 and 7"));
    assert!(page.contains("Platinum 8480+") && page.contains(&common::names()[0]));
    lines.remove(0);
    write(&dir, "serial.log", &lines.join("\n"));
    let ran = run(dir.path(), &["serial.log", "--partial"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("nothing before the first part that is missing can be read"),
        "{}",
        ran.err
    );
}

#[test]
fn a_page_escapes_what_a_report_says() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "<script>alert('x')</script>\"&";
    write(
        &dir,
        "serial.log",
        &small(
            1,
            2,
            Outcome::Violated {
                initiator: 0,
                why: evil,
            },
            evil,
        )
        .join("\n"),
    );
    assert_eq!(
        run(dir.path(), &["serial.log", "--html", "out.html"]).code,
        0
    );
    let page = read(&dir, "out.html");
    assert!(!page.contains("<script"));
    assert_eq!(
        page.matches("&lt;script&gt;alert('x')&lt;/script&gt;&quot;&amp;")
            .count(),
        3
    );
}

#[test]
fn two_revisions_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir,
        "old.log",
        &small(0xa, 1, Outcome::Holds, "same").join("\n"),
    );
    let two = [
        small(0xb, 3, Outcome::Observed("4 of 9"), "same"),
        small(0xc, 3, Outcome::Holds, "x"),
    ]
    .concat();
    write(&dir, "new.log", &two.join("\n"));
    let ran = run(dir.path(), &["--compare", "old.log", "new.log"]);
    assert_eq!(ran.code, 1);
    let choice = "new.log has several reports, 0000000B, 0000000C: choose one, \
        for example new.log#0000000B";
    assert!(ran.err.contains(choice), "{}", ran.err);
    let ran = run(
        dir.path(),
        &[
            "--compare",
            "old.log",
            "new.log#B",
            "--html",
            "d.html",
            "--json",
            "d.json",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let counts = "1 outcomes differ, 1 are the same; 1 facts of the machine differ; \
        3 measurements compared, 0 unmatched";
    assert!(ran.out.contains(counts), "{}", ran.out);
    let json: serde_json::Value = serde_json::from_str(&read(&dir, "d.json")).unwrap();
    assert_eq!(json["outcomes"][0]["what"], "hardware one-page");
    assert_eq!(json["outcomes"][0]["after"], "observed: 4 of 9");
    assert_eq!(json["machine"][0]["what"], "microcode");
    assert_eq!(json["latencies"][0]["ratio"], 3.0);
    assert_eq!(json["latencies"][0]["unit"], "ns");
    let page = read(&dir, "d.html");
    let microcode =
        r#"<td data-of="before"><code>0x1</code></td><td data-of="after"><code>0x3</code>"#;
    assert!(page.contains(microcode), "{page}");
    assert!(page.contains("3.00"));
}

#[test]
fn many_logs_are_sorted_by_machine_and_microcode() {
    let dir = tempfile::tempdir().unwrap();
    let failing = Outcome::Violated {
        initiator: 2,
        why: "stale",
    };
    write(
        &dir,
        "a.log",
        &[small(1, 7, Outcome::Holds, ""), small(2, 8, failing, "")]
            .concat()
            .join("\n"),
    );
    write(&dir, "b.log", &small(3, 7, Outcome::Holds, "").join("\n"));
    assert_eq!(
        run(dir.path(), &["a.log", "b.log", "--html", "fleet.html"]).code,
        0
    );
    let page = read(&dir, "fleet.html");
    assert!(page.contains("RAR validation reports of 3 runs"));
    assert!(page.contains("rowspan=\"2\">0x7<") && page.contains("rowspan=\"1\">0x8<"));
    assert!(page.contains("one-page (hardware)"));
    assert_eq!(page.matches("<details class=\"report\"").count(), 3);
}

#[test]
fn what_cannot_be_used_is_named_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["none.log"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains("cannot read none.log: give a serial log"),
        "{}",
        ran.err
    );
    write(&dir, "empty.log", "booted, and that was it");
    let ran = run(dir.path(), &["empty.log"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("empty.log has no part of a report"),
        "{}",
        ran.err
    );
    assert_eq!(run(dir.path(), &[]).code, 2);
    write(
        &dir,
        "good.log",
        &small(1, 1, Outcome::Holds, "").join("\n"),
    );
    let ran = run(dir.path(), &["good.log", "--html", "no/such/folder.html"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains("cannot write no/such/folder.html"),
        "{}",
        ran.err
    );
}
