// An SSH server on loopback as the present user, with keys and settings of its own in a folder of the test: nobody's home is read
// or written, and it ends with the test. Several may run at once, also of several processes of tests.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { reservePort } from '../network/reserve.ts';

/** Bound: how long it may take to listen. */
const READY_MS_MAX = 30_000;
/**
 * Where sshd goes before it knows who comes, empty; it wants it when it is root, and packages make it at boot. All that run on this
 * machine share it, so whoever made it leaves it.
 */
const ROOT_FOLDER = '/run/sshd';

/** Null: there is none on this machine. */
export function findSshd(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, 'sshd')).find((path) => existsSync(path)) ?? null;
}

export class SshServer {
  readonly port: number;
  readonly user = userInfo().username;
  /** Files of a client. */
  readonly key: string;
  readonly knownHosts: string;
  /** A key that it does not let in. */
  readonly strangerKey: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.port = port;
    this.key = join(folder, 'client');
    this.strangerKey = join(folder, 'stranger');
    this.knownHosts = join(folder, 'known_hosts');
    this.#child = child;
  }

  static async start(program: string, folder: string): Promise<SshServer> {
    for (const name of ['host', 'client', 'stranger'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
    const port = await reservePort();
    writeFileSync(join(folder, 'authorized_keys'), readFileSync(join(folder, 'client.pub')), { mode: 0o600 });
    writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${port} ${readFileSync(join(folder, 'host.pub'), 'utf8')}`);
    const quoted = (name: string): string => `"${join(folder, name)}"`;
    writeFileSync(
      join(folder, 'sshd_config'),
      [
        `Port ${port}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${quoted('host')}`,
        `AuthorizedKeysFile ${quoted('authorized_keys')}`,
        'PidFile none',
        // The folders of tests are in /tmp, where others may write too.
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'PermitRootLogin prohibit-password',
        'Subsystem sftp internal-sftp',
        '',
      ].join('\n'),
    );
    if (process.getuid?.() === 0) mkdirSync(ROOT_FOLDER, { recursive: true, mode: 0o755 });
    const child = spawn(program, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const overdue = setTimeout(() => reject(new Error(`sshd did not listen: ${said}`)), READY_MS_MAX);
      child.once('exit', (code) => reject(new Error(`sshd ended with ${code}: ${said}`)));
      child.stderr?.on('data', (data: Buffer) => {
        said += data.toString();
        if (!said.includes('Server listening')) return;
        clearTimeout(overdue);
        resolve();
      });
    });
    return new SshServer(folder, port, child);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      await ended;
    }
  }
}
