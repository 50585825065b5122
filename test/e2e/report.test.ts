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
/** Bound: how long a page may take to draw on a machine that has other things to do. */
const PATIENT = { timeout: 60_000 };

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

  test('says what held, run by run', async () => {
    expect(await open().getByRole('heading', { level: 1 }).textContent()).toMatch(/^All 2 runs held\./);
    expect(await open().locator('.scenarios .seed').allTextContents()).toEqual(['0x1', '0x2']);
    const goals = await open().locator('.goals tbody tr').allTextContents();
    expect(goals.length).toBeGreaterThan(5);
    expect(goals.filter((text) => !text.startsWith('✔ held'))).toEqual([]);
  });

  test('has a lane for each machine, with the fault and the work that moved', async () => {
    const lanes = await open()
      .locator('.lane')
      .evaluateAll((nodes) => nodes.map((node) => node.getAttribute('data-machine')));
    expect(lanes).toEqual(expect.arrayContaining(['controller', 'a-1', 'a-2', 'b-1', 'b-2', 'c-1', 'c-2']));
    expect(await open().locator('[aria-label^="fault crash on a-1 "]').count()).toBe(1);
    expect(await open().locator('.lane[data-machine="a-1"] .fault').count()).toBe(1);
    expect(await open().locator('[aria-label^="a-1 off from "]').count()).toBe(1);
    expect(await open().locator('[aria-label*=" v1 e2 on "]').count()).toBeGreaterThan(0);
  });

  test('says more about what the pointer is over, and about what has the focus', async () => {
    const tip = open().locator('.tip');
    await open().locator('.fault-bar').first().hover();
    expect(await tip.textContent()).toMatch(/^fault crash on a-1 from [\d.]+ s to [\d.]+ s: until healed$/);
    await open().locator('.instance').first().focus();
    expect(await tip.textContent()).toMatch(/ v1 e1 on .* from /);
  });

  test('zooms by button, key and wheel, and moves by dragging', async () => {
    const svg = open().locator('.timeline svg');
    const ticks = (): Promise<readonly string[]> => open().locator('.axis text').allTextContents();
    const whole = await ticks();
    await open().getByLabel('Zoom in').click();
    await open().getByLabel('Zoom in').click();
    const closer = await ticks();
    expect(closer).not.toEqual(whole);
    await svg.focus();
    await open().keyboard.press('ArrowLeft');
    expect(await ticks()).not.toEqual(closer);
    await open().keyboard.press('0');
    expect(await ticks()).toEqual(whole);
    await svg.hover();
    await open().mouse.wheel(0, -300);
    await expect.poll(ticks, PATIENT).not.toEqual(whole);
    const zoomed = await ticks();
    const box = await svg.boundingBox();
    if (box === null) throw new Error('the timeline has no place');
    await open().mouse.move(box.x + 700, box.y + 40);
    await open().mouse.down();
    await open().mouse.move(box.x + 400, box.y + 40, { steps: 3 });
    await open().mouse.up();
    await expect.poll(ticks, PATIENT).not.toEqual(zoomed);
    await open().getByLabel('Show everything').click();
    expect(await ticks()).toEqual(whole);
  });

  test('shows the records of the machine and the moment that were clicked, and the fleet as it was then', async () => {
    const off = open().locator('[aria-label^="a-1 off from "]');
    await off.click();
    expect(await open().getByLabel('Machine', { exact: true }).inputValue()).toBe('a-1');
    const from = Number(/off from ([\d.]+) s/.exec((await off.getAttribute('aria-label')) ?? '')?.[1]);
    const row = open().locator('.log tr[aria-current]');
    expect(Number(await row.locator('td').first().textContent())).toBeGreaterThan(from);
    expect(
      await row.evaluate((node) => node.getBoundingClientRect().top - (node.closest('.log')?.getBoundingClientRect().top ?? 0)),
    ).toBeGreaterThan(0);
    expect(await open().locator('.machines tr', { hasText: 'a-1' }).textContent()).toMatch(/off.*crash/);
    expect(open().url()).toMatch(/#node-failure\/0x1@[\d.]+$/);
  });

  test('filters the records, and says how many it shows and keeps', async () => {
    await open().getByRole('button', { name: 'Show all' }).click();
    const all = await open().locator('.log tbody tr').count();
    await open().getByLabel('Machine', { exact: true }).selectOption('a-1');
    await open().getByLabel('Kind', { exact: true }).selectOption('node.enrolled');
    await open().getByLabel('Text', { exact: true }).fill('incarnation=2');
    const lines = await open().locator('.log tbody tr').allTextContents();
    expect(lines.length).toBe(1);
    expect(lines[0]).toContain('node.enrolled');
    const said = (await open().locator('.shown').textContent()) ?? '';
    expect(said).toMatch(/^showing 1 of [\d,]+ records; the run wrote [\d,]+, all of them in run\.jsonl$/);
    expect(Number(/ of ([\d,]+)/.exec(said)?.[1]?.replaceAll(',', ''))).toBe(all);
  });

  test('tells of a run whose timeline it does not hold what it knows, and how to play it', async () => {
    await open().locator('.seed', { hasText: '0x2' }).click();
    expect(await open().locator('#run').textContent()).toMatch(/timeline of this run is not in this file.*/);
    expect(await open().locator('#run code').first().textContent()).toMatch(/run node-failure --seed 0x2$/);
    expect(await open().locator('#run .goals tbody tr').count()).toBeGreaterThan(5);
    await open().evaluate("location.hash = '#node-failure/0x1'");
    await expect.poll(() => open().locator('.timeline svg').count(), PATIENT).toBe(1);
  });

  test('fits a narrow screen', async () => {
    await open().setViewportSize({ width: 400, height: 800 });
    expect(await open().evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400);
  });

  test('never said an error, and never asked the network, whatever was done', () => {
    expect(said).toEqual([]);
  });
});
