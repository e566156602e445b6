#!/bin/sh
# Makes tests/data/formats and tests/data/bad/video_no_audio.mp4 from the JFK recording (public
# domain): the same 1.5 seconds in every container and codec. Names are those of the DEV set.
#   tests/data/make_formats.sh [SOURCE]        needs ffmpeg 5 with lame, twolame, vorbis, opus, x264
set -eu
cd "$(dirname "$0")"
source=${1:-jfk.flac}
mkdir -p formats bad
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ff() { ffmpeg -nostdin -v error -y -fflags +bitexact "$@"; }
ff -ss 0.4 -t 1.5 -i "$source" -ac 1 -ar 16000 -c:a pcm_s16le "$work/clip.wav"
make() { # NAME, then ffmpeg's options
  name=$1
  shift
  ff -i "$work/clip.wav" -map_metadata -1 -flags:a +bitexact "$@" "formats/$name"
}
make wav_s16_16k.wav -c:a pcm_s16le
make wav_u8_16k.wav -c:a pcm_u8
make wav_s24_16k.wav -c:a pcm_s24le
make wav_s32_8k.wav -ar 8000 -c:a pcm_s32le
make wav_f32_16k.wav -c:a pcm_f32le
make wav_f64_8k.wav -ar 8000 -c:a pcm_f64le
make wav_mulaw_8k.wav -ar 8000 -c:a pcm_mulaw
make wav_alaw_8k.wav -ar 8000 -c:a pcm_alaw
make wav_adpcm_ima_16k.wav -c:a adpcm_ima_wav
make wav_adpcm_ms_16k.wav -c:a adpcm_ms
make wav_rf64_8k.wav -ar 8000 -c:a pcm_s16le -rf64 always
make aiff_s16.aiff -c:a pcm_s16be
make caf_s16.caf -c:a pcm_s16le
make flac_16k.flac -c:a flac
make flac_24bit_8k.flac -ar 8000 -sample_fmt s32 -c:a flac
make flac_16k_5.1.flac -af "pan=5.1|FL=0.5*c0|FR=0.5*c0|FC=c0|LFE=0*c0|BL=0.5*c0|BR=0.5*c0" -c:a flac
make ogg_flac.oga -c:a flac
make m4a_alac.m4a -c:a alac
make m4a_aac_lc.m4a -ar 44100 -c:a aac -b:a 64k
make m4a_aac_48k_5.1.m4a -ac 6 -ar 48000 -c:a aac -b:a 192k
make m4a_aac_fragments.mp4 -c:a aac -b:a 64k -movflags frag_keyframe+empty_moov+delay_moov
make aac_adts.aac -ar 44100 -c:a aac -b:a 64k
make mp2_16k.mp2 -c:a mp2 -b:a 64k
make mp3_cbr64_16k.mp3 -c:a libmp3lame -b:a 64k
make mp3_cbr128_44k1_stereo.mp3 -ac 2 -ar 44100 -c:a libmp3lame -b:a 128k
make mp3_vbr_q4_44k1.mp3 -ar 44100 -c:a libmp3lame -q:a 4
make "mp3 with spaces ü.mp3" -c:a libmp3lame -b:a 48k
make ogg_vorbis_16k.ogg -c:a libvorbis -q:a 4
make ogg_vorbis_44k1_stereo.ogg -ac 2 -ar 44100 -c:a libvorbis -q:a 4
make ogg_opus_24k.opus -c:a libopus -b:a 24k
make ogg_opus_5.1.opus -ac 6 -ar 48000 -c:a libopus -b:a 128k -mapping_family 1
make m4a_opus.mp4 -c:a libopus -b:a 32k
make webm_opus.webm -c:a libopus -b:a 32k
make mkv_flac.mkv -c:a flac
make ac3_48k.ac3 -ar 48000 -c:a ac3 -b:a 96k
make wma_v2.wma -ar 44100 -c:a wmav2 -b:a 48k
video="-f lavfi -i color=gray:s=64x48:r=5:d=1.5"
# shellcheck disable=SC2086
ff $video -i "$work/clip.wav" -c:v libx264 -c:a aac -b:a 64k -ar 48000 formats/mp4_h264_aac.mp4
# shellcheck disable=SC2086
ff $video -i "$work/clip.wav" -c:v libx264 -c:a libopus -b:a 32k formats/mkv_h264_opus.mkv
# shellcheck disable=SC2086
ff $video -c:v libx264 bad/video_no_audio.mp4
du -cb formats/* bad/* | tail -1
