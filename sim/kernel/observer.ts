// Who watches a play step by step. It sees what enters the digest, in the order in which it enters, and may end the play.

export interface Observer {
  /** Whether events remember where in the source they were set; that costs a stack for each. */
  readonly wantsOrigins: boolean;
  /**
   * An event is about to be delivered (`text` is its label), or something was noted (`text` is the note). `word` is 32 bits
   * of the digest after it. Returns an error that ends the play, or null.
   */
  observe(step: number, micros: number, machine: string, kind: 'event' | 'note', text: string, word: number): Error | null;
  /** The play ended by itself. Returns an error when it should have gone on. */
  ended(step: number, micros: number): Error | null;
}
