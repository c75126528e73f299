// A file from beside the page and its worker, in chunks.
const assets = new URL('assets/', location.href);

export class Download {
  static async start(path) {
    const download = new Download();
    download.abort = new AbortController();
    const response = await fetch(new URL(path, assets), { signal: download.abort.signal });
    if (!response.ok) throw new Error(`the server answers ${response.status}`);
    download.loaded = 0;
    download.total = Number(response.headers.get('content-length')) || 0;
    download.reader = response.body.getReader();
    return download;
  }

  async next() {
    const { value } = await this.reader.read();
    this.loaded += value?.length ?? 0;
    return value;
  }

  cancel() {
    this.abort.abort();
  }
}
