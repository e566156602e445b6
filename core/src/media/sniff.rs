//! Names for what nothing here can decode, so that the error can say what the file is.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known as id;

/// Magic bytes at an offset, and what they stand for.
const FORMATS: &[(usize, &[u8], &str)] = &[
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (WMA, ASF)"),
    (0, b"\x0b\x77", "AC-3 (Dolby Digital)"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"#!AMR", "AMR"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"TTA1", "True Audio"),
    (0, b"DSD ", "DSD"),
    (0, b"FRM8", "DSD"),
    (0, b".snd", "Sun audio (AU)"),
    (0, b".ra\xfd", "RealAudio"),
    (0, b".RMF", "RealMedia"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"riff\x2e\x91\xcf\x11", "Sony Wave64"),
    (0, b"Creative Voice File", "Creative Voice"),
    (0, b"\x00\x00\x01\xba", "MPEG program stream"),
    (8, b"AVI ", "AVI"),
    (28, b"Speex   ", "Speex"),
];

/// The name of a format that is known not to work, from the first bytes of a file.
pub(super) fn unsupported_format(start: &[u8]) -> Option<&'static str> {
    let is_transport = |n: usize| start.get(n * 188) == Some(&0x47);
    if (0..4).all(is_transport) {
        return Some("MPEG transport stream");
    }
    let table = FORMATS.iter();
    let mut hits = table.filter(|(at, magic, _)| start.get(*at..).is_some_and(|s| s.starts_with(magic)));
    hits.next().map(|(_, _, name)| *name)
}

/// The name of a codec that a container carries.
pub(super) fn codec_name(codec: AudioCodecId) -> String {
    let name = match codec {
        id::CODEC_ID_AAC => "AAC",
        id::CODEC_ID_AC3 => "AC-3",
        id::CODEC_ID_EAC3 => "E-AC-3",
        id::CODEC_ID_AC4 => "AC-4",
        id::CODEC_ID_DCA => "DTS",
        id::CODEC_ID_TRUEHD => "TrueHD",
        id::CODEC_ID_WMA => "WMA",
        id::CODEC_ID_SPEEX => "Speex",
        id::CODEC_ID_MUSEPACK => "Musepack",
        id::CODEC_ID_WAVPACK => "WavPack",
        id::CODEC_ID_MONKEYS_AUDIO => "Monkey's Audio",
        id::CODEC_ID_TTA => "True Audio",
        id::CODEC_ID_OPUS => "Opus",
        id::CODEC_ID_ADPCM_G722 => "G.722",
        id::CODEC_ID_ADPCM_G726 | id::CODEC_ID_ADPCM_G726LE => "G.726",
        other => return format!("unknown ({other})"),
    };
    name.to_owned()
}
