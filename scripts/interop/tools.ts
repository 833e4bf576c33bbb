import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Programs of others that the checks use: pinned, installed on demand, no dependencies of the project. */
export interface Tools {
  /** The Python of a virtual environment with `tools/requirements.txt`. */
  python: string
  /** A folder whose `node_modules` hold what `tools/package.json` asks for. */
  npm: string
}

/** Where the S3 server of the tests is installed. */
export const s3Server = fileURLToPath(new URL('../../.interop/s3/versitygw', import.meta.url))

const run = promisify(execFile)
const folder = fileURLToPath(new URL('../../.interop/', import.meta.url))
const wanted = (name: string) => fileURLToPath(new URL(`tools/${name}`, import.meta.url))

/** Installs the tools, unless what is wanted is there from an earlier run. */
export async function installTools(): Promise<Tools> {
  const python = join(folder, 'python')
  const npm = join(folder, 'npm')
  await mkdir(folder, { recursive: true })
  await Promise.all([
    installOnce(python, 'requirements.txt', async () => {
      await run('python3', ['-m', 'venv', python])
      const pip = [join(python, 'bin', 'python'), '-m', 'pip', 'install', '--quiet'] as const
      await run(pip[0], [...pip.slice(1), '--requirement', wanted('requirements.txt')])
    }),
    installOnce(npm, 'package.json', async () => {
      await cp(wanted('package.json'), join(npm, 'package.json'))
      await run('npm', ['install', '--no-package-lock'], { cwd: npm })
    }),
  ])
  return { python: join(python, 'bin', 'python'), npm }
}

/** Installs the S3 server that `tools/s3-server.txt` names, a Go program, unless it is there. */
export async function installS3Server(): Promise<void> {
  const target = dirname(s3Server)
  await mkdir(folder, { recursive: true })
  await installOnce(target, 's3-server.txt', async () => {
    const module = (await readFile(wanted('s3-server.txt'), 'utf8')).trim()
    await run('go', ['install', module], { env: { ...process.env, GOBIN: target } })
  })
}

/** The list of what is wanted is noted last, so that a half-done installation is begun anew. */
async function installOnce(target: string, list: string, install: () => Promise<void>) {
  const note = join(target, 'installed')
  const text = await readFile(wanted(list), 'utf8')
  const installed = await readFile(note, 'utf8').catch(() => undefined)
  if (installed === text) return
  process.stdout.write(`Installing ${list} into ${target}\n`)
  await rm(target, { recursive: true, force: true })
  await mkdir(target)
  await install()
  await writeFile(note, text)
}
