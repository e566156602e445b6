// What is said of the clip, and the size of the module that said it: `node which-module.js [plain]`.

if (process.argv[2] === "plain") WebAssembly.validate = () => false;
const { compile } = WebAssembly;
let bytes = 0;
// Node has modules of its own.
WebAssembly.compile = (module) => ((bytes = Math.max(bytes, module.byteLength)), compile(module));

const { CandleWhisper } = await import("../../../web/pkg/candle-whisper.js");
const at = (name) => new URL(`../../../${name}`, import.meta.url);
const whisper = await CandleWhisper.load({ models: at("native/models/") });
for await (const event of whisper.transcribe(at("tests/data/jfk.flac"), { temperature: 0 })) {
  if (event.type === "done") console.log(JSON.stringify({ bytes, tokens: event.transcript.segments.map((s) => s.tokens) }));
}
whisper.dispose();
