import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GroupCommit, GroupCommitFull, type GroupCommitOptions } from './group-commit.ts';

/** Commits that end when they are told to. */
function manual(given: Partial<GroupCommitOptions<number>> = {}) {
  const commits: { rows: readonly number[]; end: PromiseWithResolvers<void> }[] = [];
  const group = new GroupCommit<number>({
    maxRows: 100,
    maxWaiting: 1_000,
    write: (rows) => {
      const end = Promise.withResolvers<void>();
      commits.push({ rows, end });
      return end.promise;
    },
    ...given,
  });
  return { group, commits };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a group commit', () => {
  test('writes at once when nothing is under way, and gathers while something is', async () => {
    const { group, commits } = manual();
    const first = group.add(1);
    const others = [group.add(2), group.add(3, 4)];
    expect(commits.map(({ rows }) => rows)).toEqual([[1]]);
    expect(group.waiting).toBe(3);
    commits[0]!.end.resolve();
    await first;
    await settle();
    expect(commits[1]!.rows).toEqual([2, 3, 4]);
    commits[1]!.end.resolve();
    await Promise.all(others);
    await group.drain();
  });

  test('that fails does so for its own rows alone', async () => {
    const { group, commits } = manual();
    const first = group.add(1);
    const second = group.add(2);
    commits[0]!.end.reject(new Error('connection lost'));
    await expect(first).rejects.toThrow('connection lost');
    await settle();
    commits[1]!.end.resolve();
    await second;
  });

  test('bounds the bytes of a commit, and of what waits', async () => {
    const { group, commits } = manual({ bytesOf: (row) => row, maxBytes: 10, maxWaitingBytes: 25 });
    const added = [group.add(1), group.add(6), group.add(5), group.add(14)];
    await expect(group.add(1)).rejects.toThrow(GroupCommitFull);
    for (let at = 0; at < 4; at += 1) {
      commits[at]!.end.resolve();
      await settle();
    }
    await Promise.all(added);
    expect(commits.map(({ rows }) => rows)).toEqual([[1], [6], [5], [14]]);
  });

  test('refuses what is too much, and takes more when there is room again', async () => {
    const { group, commits } = manual({ maxWaiting: 3 });
    const accepted = [group.add(0), group.add(1, 2), group.add(3)];
    await expect(group.add(4)).rejects.toThrow(GroupCommitFull);
    commits[0]!.end.resolve();
    await settle();
    accepted.push(group.add(5));
    for (let at = 1; at < 3; at++) {
      commits[at]!.end.resolve();
      await settle();
    }
    await Promise.all(accepted);
  });

  test('with nothing to write writes nothing', async () => {
    const { group, commits } = manual();
    await group.add();
    await group.drain();
    expect(commits).toEqual([]);
  });
});

test('whatever comes when, and whatever fails: each row is in one commit, and its caller learns how that ended', async () => {
  const callers = fc.array(fc.array(fc.nat(), { maxLength: 5 }), { maxLength: 30 });
  const limits = fc.record({ maxRows: fc.integer({ min: 1, max: 12 }), concurrency: fc.integer({ min: 1, max: 3 }) });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), callers, limits, fc.infiniteStream(fc.boolean()), async (s, all, given, fails) => {
      let id = 0;
      const rowsOf = all.map((rows) => rows.map(() => id++));
      const commits: { rows: readonly number[]; failed: boolean }[] = [];
      let underWay = 0;
      const group = new GroupCommit<number>({
        ...given,
        maxWaiting: 1_000,
        write: async (rows) => {
          expect(++underWay).toBeLessThanOrEqual(given.concurrency);
          const commit = { rows, failed: fails.next().value as boolean };
          commits.push(commit);
          await s.schedule(Promise.resolve());
          underWay--;
          if (commit.failed) throw new Error('failed');
        },
      });
      const outcomes = Promise.all(
        rowsOf.map(async (rows) => {
          await s.schedule(Promise.resolve());
          return group.add(...rows).then(
            () => 'written',
            () => 'failed',
          );
        }),
      );
      await s.waitFor(outcomes);
      await group.drain();
      const commitOf = new Map(commits.flatMap((commit) => commit.rows.map((row) => [row, commit] as const)));
      expect(commitOf.size).toBe(id);
      expect(commits.reduce((sum, { rows }) => sum + rows.length, 0)).toBe(id);
      for (const [at, outcome] of (await outcomes).entries()) {
        const own = new Set(rowsOf[at]!.map((row) => commitOf.get(row)!));
        // What one caller brings is never split.
        expect(own.size).toBeLessThanOrEqual(1);
        expect(outcome).toBe([...own][0]?.failed ? 'failed' : 'written');
      }
      for (const { rows } of commits) {
        const most = Math.max(given.maxRows, ...rowsOf.map((own) => own.length));
        expect(rows.length).toBeLessThanOrEqual(most);
      }
    }),
    { numRuns: 300 },
  );
});

test('those who wait behind a commit that fails fail with it where that is wanted', async () => {
  const fail = Promise.withResolvers<void>();
  let commits = 0;
  const group = new GroupCommit<number>({
    write: () => {
      commits += 1;
      return fail.promise;
    },
    maxRows: 10,
    maxWaiting: 10,
    failsAll: () => true,
  });
  const first = group.add(1);
  const behind = group.add(2, 3);
  fail.reject(new Error('no answer'));
  await expect(first).rejects.toThrow('no answer');
  await expect(behind).rejects.toThrow('no answer');
  expect([commits, group.waiting]).toEqual([1, 0]);
  await group.drain();
});
