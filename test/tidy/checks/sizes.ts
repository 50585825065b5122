// A file past 400 lines is asking to be two; past the bound it is refused unless its length is explained here.
import { matches, type Check } from './source.ts';

export const LINES_MAX = 450;

/** A file whose length is the thing itself, such as a table. Remove the line when the file is short again. */
export const LONG_FILES: readonly { readonly path: string; readonly why: string }[] = [];

const MEASURED = /\.(ts|tsx|rs|js|mjs|css|html|yaml)$/;
const GENERATED = ['system/wire/generated/**'];

export function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

export const checkSizes: Check = (files) =>
  files
    .filter(
      ({ path }) =>
        MEASURED.test(path) && !GENERATED.some((pattern) => matches(path, pattern)) && !LONG_FILES.some((entry) => entry.path === path),
    )
    .filter(({ text }) => lineCount(text) > LINES_MAX)
    .map(({ path, text }) => ({
      path,
      line: 0,
      message: `has ${lineCount(text)} lines, more than ${LINES_MAX}: is it two rooms? If its length is the thing itself, say so in test/tidy/checks/sizes.ts.`,
    }));
