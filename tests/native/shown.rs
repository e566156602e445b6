//! What goes where: transcripts, lines and the bar.

use candle_whisper::job::{Job, Terminals};
use candle_whisper::output::Place;
use candle_whisper::progress::{Lines, Show};
use candle_whisper_core::writers::OutputFormat::{self, Csv, Json, Lrc, Srt, Tsv, Txt, Vtt};

use crate::flags::{args, job};

#[test]
fn where_outputs_go_and_in_which_formats() {
    let here = || Place::Folder(".".into());
    let out = || Place::Folder("out".into());
    let table: [(&str, Place, &[OutputFormat]); 9] = [
        ("", Place::Stdout, &[Txt]),
        ("-o -", Place::Stdout, &[Txt]),
        ("-o - -f vtt", Place::Stdout, &[Vtt]),
        ("-f srt", here(), &[Srt]),
        ("--output_dir out", out(), &[Txt, Vtt, Srt, Tsv, Json]),
        ("-o out -f all", out(), &[Txt, Vtt, Srt, Tsv, Json]),
        ("-o out -f all,lrc -f csv", out(), &[Txt, Vtt, Srt, Tsv, Json, Lrc, Csv]),
        ("-oout -fsrt,srt,txt", out(), &[Srt, Txt]),
        ("--output-dir=out --output-format=json", out(), &[Json]),
    ];
    for (typed, place, formats) in table {
        let outputs = job(&format!("a.wav {typed}")).unwrap().outputs;
        assert_eq!((outputs.place, outputs.formats.as_slice()), (place, formats), "{typed}");
    }
}

#[test]
fn lines_never_mix_with_a_transcript_and_the_bar_is_for_terminals() {
    let screen = Terminals { stdout: true, stderr: true };
    let piped = Terminals { stdout: false, stderr: true };
    let logged = Terminals { stdout: false, stderr: false };
    let show = |bar, lines, segments| Show { bar, lines, segments };
    let table = [
        ("", screen, show(true, Lines::Nowhere, false)),
        ("", piped, show(true, Lines::Stderr, true)),
        ("", logged, show(false, Lines::Nowhere, false)),
        ("--verbose True", screen, show(true, Lines::Stderr, true)),
        ("--verbose True", logged, show(false, Lines::Stderr, true)),
        ("--verbose False", piped, show(true, Lines::Stderr, false)),
        ("--verbose None", screen, show(false, Lines::Nowhere, false)),
        ("-f srt", screen, show(true, Lines::Stdout, true)),
        ("-f srt", logged, show(false, Lines::Stdout, true)),
        ("-f srt --verbose False", screen, show(true, Lines::Stdout, false)),
        ("-f srt --verbose none", screen, show(false, Lines::Nowhere, false)),
    ];
    for (typed, terminals, expected) in table {
        let folder = env!("CARGO_MANIFEST_DIR");
        let args = args(&format!("--model {folder} a.wav {typed}"));
        let job = Job::new(&args, terminals).unwrap();
        assert_eq!(job.show, expected, "{typed}, {terminals:?}");
    }
}
