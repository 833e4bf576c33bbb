import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Test } from 'tap'
import { EMBEDDED_USER } from '../../src/database/embedded-cluster.ts'
import { giveTo } from '../../src/database/embedded-user.ts'
import { type Cluster, prepareCluster, startCluster } from './cluster.ts'

/** What lets others follow a cluster. */
const followed = { wal_level: 'replica', max_wal_senders: '10', wal_keep_size: '64MB' }

/** Starts a PostgreSQL that replicas can follow, with a migrated database. */
export function startPrimary(t: Test): Promise<Cluster> {
  return startCluster(t, { settings: followed })
}

/** Starts a standby that streams what another PostgreSQL writes. */
export async function startReplica(
  t: Test,
  primary: Cluster,
  settings: Record<string, string> = {},
): Promise<Cluster> {
  const fill = (folder: string) => copyRunning(primary, folder)
  const replica = await prepareCluster(t, { settings: { ...followed, hot_standby: 'on' }, fill })
  await follow(replica, primary)
  await replica.start(settings)
  return replica
}

/** Has a cluster that is not running follow another from its next start on. */
export async function follow(replica: Cluster, primary: Cluster): Promise<void> {
  const conninfo = `host=${primary.socket} port=${primary.port} user=${EMBEDDED_USER}`
  const lines = [`primary_conninfo = '${conninfo}'`, "recovery_target_timeline = 'latest'"]
  const files = { 'standby.signal': '', 'postgresql.auto.conf': `${lines.join('\n')}\n` }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(replica.folder, name), content)
    await giveTo(replica.runAs, join(replica.folder, name))
  }
}

/** Ends the recovery of a standby, which then takes writes, and waits until it does. */
export async function promote(replica: Cluster): Promise<void> {
  await replica.query('select pg_promote()')
}

/** Copies the data folder of a running cluster, between the calls that make the copy one to begin from. */
async function copyRunning({ folder, port, socket, runAs }: Cluster, to: string): Promise<void> {
  const database = 'postgres'
  const client = new pg.Client({ host: socket, port, user: EMBEDDED_USER, database, ssl: false })
  await client.connect()
  try {
    await client.query("select pg_backup_start('copy', true)")
    // What goes away while it is copied is of no interest.
    await promisify(execFile)('cp', ['-Rp', folder, to]).catch(() => {})
    const { rows } = await client.query('select labelfile from pg_backup_stop(false)')
    await writeFile(join(to, 'backup_label'), rows[0].labelfile)
    await giveTo(runAs, join(to, 'backup_label'))
    await rm(join(to, 'postmaster.pid'), { force: true })
    await rm(join(to, 'postmaster.opts'), { force: true })
  } finally {
    await client.end()
  }
}
