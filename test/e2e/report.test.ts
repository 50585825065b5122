// The page as a person opens it: from the disk, in a real browser, without a network. Left out aloud where there is none.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const BROWSER = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => spawnSync(name, ['--version']).status === 0);
const PLAY_MS = 600_000;

if (BROWSER === undefined)
  process.stderr.write('LEFT OUT: no Chromium on this machine, so report.html is not looked at. Install the package chromium.\n');

// Reason: a machine without a browser cannot look at a page; CI installs one.
describe.skipIf(BROWSER === undefined)('report.html', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-report-'));
  const said: string[] = [];
  let browser: Browser | null = null;
  let page: Page | null = null;

  beforeAll(async () => {
    const path = spawnSync('which', [BROWSER ?? ''], { encoding: 'utf8' }).stdout.trim();
    await promisify(execFile)(
      process.execPath,
      ['cli.ts', 'run', 'node-failure', '--seeds', '2', '--quiet', '--out', join(folder, 'run')],
      { cwd: ROOT },
    );
    browser = await chromium.launch({
      executablePath: path,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.on('console', (message) => said.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => said.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) said.push(`request: ${request.url()}`);
    });
    await page.goto(pathToFileURL(join(folder, 'run', 'report.html')).href);
  }, PLAY_MS);

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function open(): Page {
    if (page === null) throw new Error('the page did not open');
    return page;
  }

  test('opens from the disk without an error, a message or a request', () => {
    expect(said).toEqual([]);
  });

  test('has a lane for each machine, with the fault and the work that moved', async () => {
    const lanes = await open()
      .locator('.lane')
      .evaluateAll((nodes) => nodes.map((node) => node.getAttribute('data-machine')));
    expect(lanes).toContain('controller');
    expect(lanes).toContain('a-1');
    expect(await open().locator('[aria-label^="fault crash"]').count()).toBeGreaterThan(0);
    expect(await open().locator('[aria-label*="v1 e2 on "]').count()).toBeGreaterThan(0);
  });

  test('says more about what the pointer is over', async () => {
    await open().locator('[aria-label^="fault crash"]').first().hover({ force: true });
    await expect.poll(() => open().locator('.tip').textContent()).toMatch(/fault crash on/);
  });

  test('filters the records, and says how many it keeps', async () => {
    await open().getByLabel('Text').fill('incarnation=1');
    const lines = await open().locator('.log tbody tr').allTextContents();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.every((line) => line.includes('incarnation=1'))).toBe(true);
    expect(await open().locator('#run .bar .soft').last().textContent()).toMatch(/keeps \d+ of \d+ records/);
  });

  test('zooms by button and by key', async () => {
    const ticks = (): Promise<readonly string[]> => open().locator('.timeline svg > text').allTextContents();
    const whole = await ticks();
    await open().getByLabel('Zoom in').click();
    await open().getByLabel('Zoom in').click();
    expect(await ticks()).not.toEqual(whole);
    await open().locator('.timeline svg').focus();
    await open().keyboard.press('0');
    expect(await ticks()).toEqual(whole);
  });

  test('fits a narrow screen', async () => {
    await open().setViewportSize({ width: 400, height: 800 });
    expect(await open().evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
  });
});
