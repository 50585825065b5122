// Why a file could not be used, in words: people who start the product need not know the names of errors in C.
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is none',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EISDIR: 'it is a folder',
  EEXIST: 'another file is in its place',
  ENOTDIR: 'a part of its path is a file and no folder',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  EMFILE: 'this process has too many files open',
  ELOOP: 'it is a link that leads in a circle',
};

/** With the name of the error, by which it can be looked up. */
export function whyOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const words = WORDS[code];
  return words === undefined ? code : `${words}, ${code}`;
}
