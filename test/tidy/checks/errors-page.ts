// docs/errors.md says what system/domain/errors.ts says, and nothing uses a code that is in neither.
import type { SourceFile, Violation } from './source.ts';
import { plain, rowsOf } from './tables.ts';

export type Registry = Readonly<Record<string, { readonly kind: string; readonly meaning: string; readonly next: string }>>;

export const ERRORS_PAGE = 'docs/errors.md';
const PRODUCT = /^(system|agents|sim|hardware|scenarios|reports|docs)\/.*\.(ts|md)$|^cli\.ts$|^README\.md$/;
/** The addon may be published alone and has codes of its own; hardware/wasm/wasm.ts turns them into ours. */
const ADDON_CODE = /^WM_ENGINE_/;
const ADDON = /^hardware\/wasm\//;
/** What a guest finds in its environment (docs/reference/guest-abi.md). */
const GUEST_ENVIRONMENT = ['WM_EVENT_ID', 'WM_EVENT_SUBJECT', 'WM_TRIGGER', 'WM_ATTEMPT'];
const FOREIGN = /^scenarios\/examples\/.*\/assembly\//;
const CODE = /\bWM_[A-Z][A-Z_]*[A-Z]\b/g;

export function checkErrorsPage(page: SourceFile, registry: Registry): readonly Violation[] {
  const found: Violation[] = [];
  const refuse = (line: number, message: string): void => void found.push({ path: page.path, line, message });
  const rows = rowsOf(page.text).filter(({ cells }) => plain(cells[0] ?? '').startsWith('WM_'));
  const documented = new Set<string>();
  for (const { line, cells } of rows) {
    const code = plain(cells[0] ?? '');
    const entry = registry[code];
    if (documented.has(code)) refuse(line, `names ${code} twice.`);
    documented.add(code);
    if (entry === undefined) {
      refuse(line, `names ${code}, which is not in system/domain/errors.ts.`);
      continue;
    }
    const wanted = [entry.kind, entry.meaning, entry.next];
    for (const [i, part] of ['kind', 'meaning', 'next step'].entries()) {
      if (cells[i + 1] !== wanted[i]) refuse(line, `gives ${code} the ${part} '${cells[i + 1] ?? ''}'; the registry says '${wanted[i]}'.`);
    }
  }
  for (const code of Object.keys(registry)) if (!documented.has(code)) refuse(0, `does not name ${code} of system/domain/errors.ts.`);
  return found;
}

/** Codes that product or documents use and nobody registered. */
export function checkErrorCodes(files: readonly SourceFile[], registry: Registry): readonly Violation[] {
  return files
    .filter(({ path }) => PRODUCT.test(path) && !FOREIGN.test(path) && path !== ERRORS_PAGE)
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, i) =>
        [...line.matchAll(CODE)]
          .map(([code]) => code)
          .filter(
            (code) =>
              code !== 'WM_ERRORS' &&
              !GUEST_ENVIRONMENT.includes(code) &&
              !(ADDON.test(path) && ADDON_CODE.test(code)) &&
              !Object.hasOwn(registry, code),
          )
          .map((code) => ({ path, line: i + 1, message: `uses ${code}, which is not in system/domain/errors.ts.` })),
      ),
    );
}
