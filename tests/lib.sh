# What tests/run is made of. Everything runs from the top of the checkout.

dev=${CANDLE_WHISPER_DEV:-../shared/data/dev}
python=tests/.venv/bin/python
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME COMMAND...: runs it, shows its output and its time, and counts: cargo's and Node's tests one by one, anything
# else as one.
step() {
  local name=$1 status ok bad
  shift
  printf '\n=== %s\n' "$name"
  TIMEFORMAT="--- $name: %R s, %U s of CPU"
  set +e
  time { (set -e; "$@") 2>&1 | tee "$log"; (exit "${PIPESTATUS[0]}"); }
  status=$?
  set -e
  read -r ok bad < <(sed -nE 's/^test result: [A-Za-z]+\. ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p; s/^ℹ pass ([0-9]+)$/\1 0/p; s/^ℹ fail ([0-9]+)$/0 \1/p' "$log" | awk '{p += $1; f += $2} END {print p + 0, f + 0}')
  if [ $((ok + bad)) -eq 0 ]; then ok=$((status == 0)); fi
  if [ "$status" -ne 0 ]; then
    echo "--- $name: FAILED"
    if [ "$bad" -eq 0 ]; then bad=1; fi
  fi
  passed=$((passed + ok)) failed=$((failed + bad))
}

summary() {
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# as_root COMMAND...: as it is for root, with sudo where there is one.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo -n "$@"
  else echo "please run as root: $*" >&2; return 1
  fi
}

# need PACKAGE TEST...: installs the Debian package unless the test succeeds.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 && return
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package"
}

prepare() {
  mkdir -p tests/.cache
  need ffmpeg ffmpeg -version
  need python3-venv python3 -c 'import venv, ensurepip'
  if command -v rustup >/dev/null; then rustup target add wasm32-unknown-unknown; fi
  if ! cmp -s tests/tools/requirements.txt tests/.venv/installed.txt; then
    python3 -m venv tests/.venv
    $python -m pip install -q --disable-pip-version-check -r tests/tools/requirements.txt
    cp tests/tools/requirements.txt tests/.venv/installed.txt
  fi
  $python tests/tools/get-models --keep-ct2 tiny.en
  $python tests/tools/get-models base
  $python tests/tools/derive-v3-tokenizer
  tests/tools/dev-samples "$dev"
  if [ -f "$dev/manifest.tsv" ]; then $python tests/tools/mel_oracle.py; fi
}

# wasm_check PACKAGE...: the same features as everywhere else, so that candle is checked once.
wasm_check() {
  cargo check "${@/#/--package=}" --target wasm32-unknown-unknown
}

# The npm package, in web/pkg.
web_package() {
  need nodejs node -e 'process.exit(parseInt(process.versions.node) < 20)'
  need npm npm --version
  web/build.sh
}

# or_again COMMAND...: once more if it fails. For what is timed in a browser, where a busy machine is no error; the first
# attempt is shown, with a mark that keeps it from being counted.
or_again() {
  local first
  first=$(mktemp)
  if "$@" >"$first" 2>&1; then cat "$first"; rm "$first"; return; fi
  sed 's/^/first attempt: /' "$first"
  rm "$first"
  "$@"
}

# node_test ARGUMENT...: Node's tests; a browser that does not answer is an error, not a wait.
node_test() {
  timeout --kill-after=5 400 node --test --test-reporter=spec "$@"
}

# web_tests FILE...: the package in Node against the native program, and in Chromium and Firefox. One file after another:
# what is timed in them wants the processors for itself.
web_tests() {
  need chromium chromium --version
  if [[ "$*" = *firefox* ]]; then need firefox-esr firefox-esr --version; fi
  npm ci --prefix tests/web --no-audit --no-fund --ignore-scripts --silent
  cargo build --release --workspace
  local file
  for file; do or_again node_test "$file"; done
  # Its types, as a program that uses them sees them.
  web/tools/node_modules/.bin/tsc --project tests/web/types
}

# page_tests FILE...: the page in Chromium, with a fake of the library, or (real.mjs) with the package that was built.
page_tests() {
  need chromium chromium --version
  npm ci --prefix tests/web/page --no-audit --no-fund --ignore-scripts --silent
  cd tests/web/page
  or_again node_test --test-concurrency=2 "$@"
}

# The microphone, which a plain build on Linux leaves out: that it compiles without a complaint.
microphone_check() {
  need libasound2-dev test -e /usr/include/alsa/asoundlib.h
  cargo clippy --release --workspace --features candle-whisper/microphone --all-targets -- -D warnings
}

readme_command() {
  cargo run --release -- tests/data/jfk.flac | tee tests/.cache/jfk.out
  grep -qi 'ask not what your country can do for you' tests/.cache/jfk.out
}

# transcripts OUT STEP ARGUMENT...: a text file for every recording of the arguments, as the reference outputs were made but
# for the step between temperatures.
transcripts() {
  local out=$1 step=$2
  shift 2
  target/release/candle-whisper --temperature 0 --temperature_increment_on_fallback "$step" --beam_size None --best_of None \
    --word_timestamps True --condition_on_previous_text True --verbose False --output_format txt --output_dir "$out" "$@"
}

# The command line's plain text against the reference's: the same weights in f32, then the model the project ships.
# Opus is decoded by a decoder that is not ffmpeg's: with tiny.en one word of 960 is another one.
# Without DEV there are 149 English words, one of them 0.67 %: enough to tell a broken model, not a slightly worse one.
# The long recording has a sentence that tiny.en repeats for ever if the numbers are a little different; as a user runs the
# program, a higher temperature ends that.
# word_error_rates MODEL...: of tiny.en, base and bundled. The parity tests hold the first two to every token.
word_error_rates() {
  local manifest=tests/data/manifest.tsv root=tests/data reference=tests/golden/reference/ margin=8 near=1 wer="$python tests/tools/wer.py" all english
  cargo build --release
  if [ -f "$dev/manifest.tsv" ]; then
    manifest=$dev/manifest.tsv root=$dev reference=$dev/../../reference/dev. margin=0.5 near=0.1
  fi
  mapfile -t all < <(tail -n +2 "$manifest" | cut -f2)
  mapfile -t english < <(tail -n +2 "$manifest" | awk -F'\t' '$4 == "en" {print $2}')
  if [ "$root" = "$dev" ]; then all+=(longform_dev.flac) english+=(longform_dev.flac); fi
  rm -rf tests/.cache/wer
  mkdir -p tests/.cache/wer
  # Side by side: most of the time a run keeps little more than one core busy.
  local pids=() pid model
  for model; do
    case "$model" in
      base) transcripts tests/.cache/wer/base None --dtype f32 --model tests/models/base "${all[@]/#/$root/}" & pids+=($!) ;;
      tiny.en) transcripts tests/.cache/wer/tiny.en None --dtype f32 --model tests/models/tiny.en "${english[@]/#/$root/}" & pids+=($!) ;;
      bundled) transcripts tests/.cache/wer/bundled 0.2 "${english[@]/#/$root/}" & pids+=($!) ;;
    esac
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  for model; do
    case "$model" in
      base) $wer "$manifest" tests/.cache/wer/base --against "${reference}base.jsonl" --against-mode greedy_words --margin "$near" ;;
      tiny.en) $wer "$manifest" tests/.cache/wer/tiny.en --language en --against "${reference}tiny.en.jsonl" --against-mode greedy_words --margin "$near" ;;
      bundled) $wer "$manifest" tests/.cache/wer/bundled --language en --against "${reference}tiny.en.jsonl" --against-mode greedy_words --margin "$margin" ;;
    esac
  done
  echo "word error rates of $*: ${#english[@]} English recordings, ${#all[@]} with base"
}

# The kernels of aarch64 and its whole program, cross-compiled and run by QEMU: as a processor with everything, and the kernels
# as one without products of eight bits too. ARM hardware runs the same by `./tests/run core`.
neon_check() {
  local target=aarch64-unknown-linux-gnu root=/usr/aarch64-linux-gnu cpu type
  need g++-aarch64-linux-gnu aarch64-linux-gnu-g++ --version
  need qemu-user-static qemu-aarch64-static --version
  rustup target add "$target"
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  for cpu in max cortex-a53; do
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L $root -cpu $cpu" \
      cargo test --release --workspace --target "$target" --test core -- kernels:: integers::
  done
  cargo build --release --workspace --target "$target"
  for type in f32 quantised; do
    qemu-aarch64-static -L "$root" -cpu max "${CARGO_TARGET_DIR:-target}/$target/release/candle-whisper" --dtype "$type" tests/data/jfk.flac |
      tee tests/.cache/neon.out
    grep -qi 'ask not what your country can do for you' tests/.cache/neon.out
  done
}

# The tests of the kernels, fewer shapes of each, interpreted by Miri: once with the instructions that every processor has, and those
# of 32-bit floats with AVX2 too. Miri knows neither AVX-512 nor F16C's conversions. Some ten minutes each.
miri_check() {
  local flags='-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-tree-borrows -Zmiri-permissive-provenance'
  rustup toolchain install nightly --profile minimal --component miri,rust-src
  MIRIFLAGS=$flags cargo +nightly miri test -p candle-whisper-core --test core -- kernels:: integers::
  MIRIFLAGS=$flags RUSTFLAGS='-C target-feature=+avx2,+fma,+f16c' cargo +nightly miri test -p candle-whisper-core --test core -- \
    kernels::panels_are kernels::convolutions kernels::sums kernels::the_gelu kernels::attention_reads integers::attention_to
}

# Builds with the CUDA feature where there is no GPU (kernels left empty, driver libraries replaced by stubs that fail)
# and starts the program: it must say in one line that it has no GPU, and transcribe on the CPU.
cuda_check() {
  local device tools=$PWD/tests/.tools/cuda
  cargo fetch -q # the stubs are made from cudarc's sources
  PATH=$PWD/tests/.venv/bin:$PATH tests/tools/setup-cuda-toolkit.sh "$tools" >/dev/null
  . "$tools/env.sh"
  # In the same target folder and profile as the tests: all but candle and our own crates is compiled already, and those
  # need not be fast to be seen to work.
  local package slow=()
  for package in candle-core candle-kernels candle-nn candle-transformers cudarc candle-whisper; do
    slow+=(--config "profile.release.package.$package.opt-level=0")
  done
  slow+=(--config 'profile.release.package.candle-whisper-core.opt-level=1')
  export NVCC=$tools/bin/nvcc-check
  cargo clippy --release -p candle-whisper --features cuda --lib --bins --examples "${slow[@]}" -- -D warnings
  cargo build --release --features candle-whisper/cuda "${slow[@]}"
  cp target/release/candle-whisper tests/.cache/candle-whisper-cuda
  for device in auto cuda; do
    LD_LIBRARY_PATH=$CUDA_HOME/stubs-run tests/.cache/candle-whisper-cuda --device "$device" tests/data/jfk.flac \
      >tests/.cache/cuda.out 2>tests/.cache/cuda.err
    cat tests/.cache/cuda.err tests/.cache/cuda.out
    grep -qi 'ask not what your country can do for you' tests/.cache/cuda.out
    [ "$(grep -ci 'cuda\|gpu' tests/.cache/cuda.err)" -eq 1 ]
  done
}
