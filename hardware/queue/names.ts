// Names of a work queue at NATS, all below one prefix. Pure.
import { rejected, type Outcome, ok } from '../../system/domain/outcome.ts';

export type QueueNames = {
  /** Stream and subjects of what is to be done, until it is done. */
  readonly runs: string;
  readonly runsFilter: string;
  readonly runsOf: (campaign: string) => string;
  readonly run: (campaign: string, run: number) => string;
  /** Stream and subjects of what came of it, until whoever asked has it. */
  readonly verdicts: string;
  readonly verdictsFilter: string;
  readonly verdictsOf: (campaign: string) => string;
  readonly verdict: (campaign: string, run: number) => string;
  /** Not stored: a campaign calls for workers here, and workers answer. */
  readonly calls: string;
  readonly call: (campaign: string) => string;
  /** Not stored: a worker that has just come asks every campaign to call. */
  readonly hello: string;
};

const PREFIX = /^[A-Za-z0-9_-]{1,64}$/;
const CAMPAIGN = /^[a-z0-9]{1,32}$/;

export function queueNames(prefix: string): Outcome<QueueNames> {
  if (!PREFIX.test(prefix))
    return rejected('WM_ARGUMENT', {
      message: `'${prefix}' is no prefix of names at NATS.`,
      next: "Give up to 64 letters, digits, '-' and '_'.",
    });
  return ok({
    runs: `${prefix}-runs`,
    runsFilter: `${prefix}.runs.>`,
    runsOf: (campaign) => `${prefix}.runs.${campaign}.>`,
    run: (campaign, run) => `${prefix}.runs.${campaign}.${run}`,
    verdicts: `${prefix}-verdicts`,
    verdictsFilter: `${prefix}.verdicts.>`,
    verdictsOf: (campaign) => `${prefix}.verdicts.${campaign}.>`,
    verdict: (campaign, run) => `${prefix}.verdicts.${campaign}.${run}`,
    calls: `${prefix}.campaigns.*`,
    call: (campaign) => `${prefix}.campaigns.${campaign}`,
    hello: `${prefix}.workers`,
  });
}

export function isCampaign(text: string): boolean {
  return CAMPAIGN.test(text);
}

/** The last token of the subject of a run or a verdict; null when it is no number of a run. */
export function runOf(subject: string): number | null {
  const last = subject.slice(subject.lastIndexOf('.') + 1);
  return /^\d{1,15}$/.test(last) ? Number(last) : null;
}

/** How often the server handed it out, from the subject it is acknowledged at: newer servers put domain and account first. */
export function deliveriesOf(reply: string): number {
  const tokens = reply.split('.');
  return Number(tokens[tokens.length >= 11 ? 6 : 4] ?? '1') || 1;
}
