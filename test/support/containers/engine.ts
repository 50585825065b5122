// The container engine of this machine, where one answers: how tests find it, and how testcontainers is made to ask it and no registry.
import { request } from 'node:http';
import process from 'node:process';
import type * as testcontainers from 'testcontainers';

/** Bound: wait for an engine's answer; one that takes longer is no help. */
const ENGINE_MS_MAX = 3_000;

/** The engine's address when one answers there. */
export async function findEngine(): Promise<string | null> {
  const address = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  if (!address.startsWith('unix://')) return null;
  const answered = await new Promise<boolean>((resolve) => {
    const asked = request({ socketPath: address.slice('unix://'.length), path: '/_ping', timeout: ENGINE_MS_MAX }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => resolve(false));
    asked.once('close', () => resolve(false));
    asked.end();
  });
  return answered ? address : null;
}

/** Loaded when it is needed: it looks for an engine by itself. */
export async function loadTestcontainers(): Promise<typeof testcontainers> {
  // The helper that removes what a dead test run left behind would be an image of a registry.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] ??= 'true';
  // Nor is another image started to find out where this host is: containers are on its network.
  process.env['TESTCONTAINERS_HOST_OVERRIDE'] ??= '127.0.0.1';
  return import('testcontainers');
}
