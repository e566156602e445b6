//! Files appear whole or not at all.

use std::fs;
use std::path::Path;

use candle_whisper::input::Input;
use candle_whisper::interrupt::Stop;
use candle_whisper::output::{Outputs, Place};
use candle_whisper_core::writers::{OutputFormat, SubtitleOptions};
use candle_whisper_core::{Segment, Transcript};

fn outputs(folder: &Path, formats: &[OutputFormat]) -> Outputs {
    Outputs {
        place: Place::Folder(folder.into()),
        formats: formats.into(),
        subtitles: SubtitleOptions::default(),
    }
}

fn transcript() -> Transcript {
    let segment = Segment { text: " Hello.".into(), end: 1.0, ..Segment::default() };
    Transcript {
        text: " Hello.".into(),
        segments: vec![segment],
        language: "en".into(),
        ..Transcript::default()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_folder_is_made_and_holds_the_outputs_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("new/folder");
    let outputs = outputs(&folder, &OutputFormat::REFERENCE);
    let input = Input::File("talk.of.today.mp3".into());
    outputs.prepare(std::slice::from_ref(&input)).unwrap();
    assert_eq!(names(&folder), Vec::<String>::new());
    outputs.write(&input, &transcript(), &Stop::default()).unwrap();
    let expected = ["json", "srt", "tsv", "txt", "vtt"].map(|e| format!("talk.of.today.{e}"));
    assert_eq!(names(&folder), expected);
    assert_eq!(fs::read_to_string(folder.join("talk.of.today.txt")).unwrap(), "Hello.\n");
}

#[test]
fn a_folder_where_a_file_should_be_is_found_before_the_work() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("a.srt")).unwrap();
    let outputs = outputs(root.path(), &[OutputFormat::Txt, OutputFormat::Srt]);
    let refused = outputs.prepare(&[Input::File("a.wav".into())]).unwrap_err().to_string();
    assert!(refused.contains("a.srt"), "{refused}");
    // Nor does one that appears only during the work leave a temporary file behind.
    let failed = outputs.write(&Input::File("a.wav".into()), &transcript(), &Stop::default());
    assert!(failed.is_err());
    assert!(!names(root.path()).iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn a_file_in_place_of_the_folder_is_found_before_the_work() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = outputs(&file, &[OutputFormat::Txt]).prepare(&[]).unwrap_err();
    assert!(format!("{refused:#}").contains("--output_dir"), "{refused:#}");
}

#[test]
fn an_output_never_replaces_a_recording() {
    let root = tempfile::tempdir().unwrap();
    let recording = root.path().join("talk.json");
    fs::write(&recording, "").unwrap();
    let outputs = outputs(root.path(), &[OutputFormat::Json]);
    let refused = outputs.check(&[Input::File(recording)]).unwrap_err();
    assert!(refused.what.ends_with("is one of the recordings"), "{}", refused.what);
}

#[cfg(unix)]
#[test]
fn links_permissions_and_the_umask_are_respected() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode() & 0o777;
    let target = root.path().join("target");
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, root.path().join("a.txt")).unwrap();
    let outputs = outputs(root.path(), &[OutputFormat::Txt, OutputFormat::Srt]);
    outputs.write(&Input::File("a.wav".into()), &transcript(), &Stop::default()).unwrap();
    assert!(root.path().join("a.txt").is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "Hello.\n");
    assert_eq!(mode("target"), 0o640);
    fs::write(root.path().join("plain"), "").unwrap();
    assert_eq!(mode("a.srt"), mode("plain"));
}
