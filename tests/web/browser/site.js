// A web server for the tests: folders under names, with or without the headers that isolate a page.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../", import.meta.url));

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/**
 * @param {Record<string, string>} folders by the prefix of their address, the longest first
 * @param {{isolated?: boolean}} [how]
 */
export async function serve(folders, { isolated = false } = {}) {
  const site = { requests: [], offline: false };
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    site.requests.push(path);
    const prefix = Object.keys(folders).find((prefix) => path.startsWith(prefix));
    let file = prefix && join(root, folders[prefix], path.slice(prefix.length) || "index.html");
    if (!file || (site.offline && path.includes("/models/"))) return response.writeHead(404).end();
    let size;
    try {
      if (statSync(file).isDirectory()) file = join(file, "index.html");
      size = statSync(file).size;
    } catch {
      return response.writeHead(404).end();
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": size, etag: `"${size}"`, ...(isolated && ISOLATED) });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(site, { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() });
}
