import { join } from 'node:path'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { startHttpProxy } from './s3-proxy.ts'
import { startS3Server } from './s3-server.ts'
import { startTestServer } from './server.ts'

/** A server whose tables may lie in a bucket, reached through a proxy. */
export async function startOnS3(t: Test) {
  const s3 = await startS3Server(t)
  const bucket = await s3.makeBucket()
  const proxy = await startHttpProxy(t, s3.endpoint)
  const { s3Endpoint, s3Region, s3ForcePathStyle } = loadConfig({
    ...s3.env,
    S3_ENDPOINT: proxy.endpoint,
  })
  const root = `s3://${bucket}/tables`
  const folder = t.testdir()
  const server = await startTestServer(t, {
    s3Endpoint,
    s3Region,
    s3ForcePathStyle,
    mirrorRoots: [folder, root],
  })
  return {
    server,
    proxy,
    folder,
    root,
    /** Settings of a process that is to find the same bucket. */
    settings: { ...s3.env, MIRROR_ROOTS: root },
    /** Where the objects below a key lie. */
    folderOf: (path: string) => join(s3.folder, bucket, 'tables', path),
  }
}
