// The bundled model is wanted in public/models/tiny.en/.

import { CandleWhisper } from "candle-whisper";

const input = document.querySelector("input");
const text = document.querySelector("pre");
const whisper = CandleWhisper.load();

input.onchange = async () => {
  text.textContent = "";
  for await (const event of (await whisper).transcribe(input.files[0])) {
    if (event.type === "segment") text.textContent += `${event.segment.text.trim()}\n`;
  }
};
