// Links in documents lead somewhere: to a file or folder of the project, and to a heading that is there.
import { posix } from 'node:path';
import type { Check, SourceFile, Violation } from './source.ts';

const LINK = /(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)|!\[[^\]]*\]\(([^)\s]+)\)/g;

function withoutCode(text: string): string {
  return text
    .replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ' '))
    .replaceAll(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));
}

/** As GitHub makes them. */
function anchorsOf({ text }: SourceFile): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, heading = ''] of text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, name = ''] of text.matchAll(/<a (?:name|id)="([^"]+)"/g)) anchors.add(name);
  return anchors;
}

/** `paths` are all paths of the project, text or not. */
export const checkLinks =
  (paths: readonly string[]): Check =>
  (files) => {
    const known = new Set(paths.flatMap((path) => path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'))));
    const documents = files.filter(({ path }) => path.endsWith('.md'));
    const anchors = new Map(documents.map((file) => [file.path, anchorsOf(file)]));
    return documents.flatMap((file) => {
      const text = withoutCode(file.text);
      return [...text.matchAll(LINK)].flatMap((match): readonly Violation[] => {
        const target = match[1] ?? match[2] ?? '';
        const refuse = (message: string): readonly Violation[] => [
          { path: file.path, line: text.slice(0, match.index).split('\n').length, message },
        ];
        if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
        const [rawPath = '', anchor] = target.split('#');
        const path =
          rawPath === ''
            ? file.path
            : posix.normalize(posix.join(posix.dirname(file.path), decodeURIComponent(rawPath))).replace(/\/$/, '');
        if (path !== '.' && !known.has(path)) return refuse(`links to ${target}, which is not there.`);
        if (anchor === undefined || !path.endsWith('.md') || anchors.get(path)?.has(anchor) === true) return [];
        return refuse(`links to ${target}, and there is no such heading.`);
      });
    });
  };
