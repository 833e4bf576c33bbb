import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
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
    installPython(python, 'requirements.txt'),
    installOnce(npm, 'package.json', async () => {
      await cp(wanted('package.json'), join(npm, 'package.json'))
      await run('npm', ['install', '--no-package-lock'], { cwd: npm })
    }),
  ])
  return { python: join(python, 'bin', 'python'), npm }
}

/** Spark with Delta: a Python to drive it, and what it loads by itself, from Maven, and where it keeps that. */
export interface Spark {
  python: string
  packages: string
  folder: string
}

/** For the Spark of `tools/spark-requirements.txt`. */
const sparkPackages = 'io.delta:delta-spark_4.2_2.13:4.4.0'

/** Installs Spark, unless it is there. Answers in words why it cannot be used, where there is no Java to run it. */
export async function installSpark(): Promise<Spark | string> {
  const lack = await lackOfJava('java', { program: 'Spark', min: 17 })
  if (lack !== undefined) return lack
  const target = join(folder, 'spark')
  await mkdir(folder, { recursive: true })
  await installPython(target, 'spark-requirements.txt')
  const python = join(target, 'bin', 'python')
  return { python, packages: sparkPackages, folder: join(folder, 'spark-packages') }
}

async function lackOfJava(
  java: string,
  { program, min }: { program: string; min: number },
): Promise<string | undefined> {
  const version = await run(java, ['-version']).then(
    ({ stderr }) => Number(/version "(\d+)/.exec(stderr)?.[1]),
    () => undefined,
  )
  if (version === undefined) return `${program} needs Java ${min}, and there is no java here`
  if (version >= min) return undefined
  return `${program} needs Java ${min}, and the java here is ${version}`
}

/** A server in one jar, and the Java that runs it. */
export interface Nessie {
  java: string
  jar: string
}

const mavenGet = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get'

/**
 * Installs the Nessie server that `tools/nessie.txt` names, with its SHA-256, from Maven Central, unless it is there.
 * The Java in `JAVA_HOME` goes before that on the path. Answers in words why Nessie cannot be used, where there is no Java
 * to run it or no Maven that gets it.
 */
export async function installNessie(): Promise<Nessie | string> {
  const { JAVA_HOME: home } = process.env
  const java = home ? join(home, 'bin', 'java') : 'java'
  const lack = await lackOfJava(java, { program: 'Nessie', min: 21 })
  if (lack !== undefined) return lack
  const target = join(folder, 'nessie')
  const [artifact = '', sha256] = (await readFile(wanted('nessie.txt'), 'utf8')).split('\n')
  const [group = '', name = '', version = '', , classifier] = artifact.split(':')
  const file = `${name}-${version}-${classifier}.jar`
  const jar = join(target, ...group.split('.'), name, version, file)
  await mkdir(folder, { recursive: true })
  try {
    await installOnce(target, 'nessie.txt', async () => {
      const options = [
        `-Dartifact=${artifact}`,
        '-Dtransitive=false',
        `-Dmaven.repo.local=${target}`,
      ]
      await run('mvn', ['--batch-mode', '--quiet', mavenGet, ...options])
      const hash = createHash('sha256')
      await pipeline(createReadStream(jar), hash)
      if (hash.digest('hex') !== sha256) throw new Error(`${file} has another SHA-256`)
    })
  } catch (error) {
    const [reason] = String(error).split('\n')
    return `Nessie cannot be had from Maven Central: ${reason}`
  }
  return { java, jar }
}

/** Makes a virtual environment with what a list asks for. */
function installPython(target: string, list: string): Promise<void> {
  return installOnce(target, list, async () => {
    await run('python3', ['-m', 'venv', target])
    const pip = ['-m', 'pip', 'install', '--quiet', '--requirement', wanted(list)]
    await run(join(target, 'bin', 'python'), pip)
  })
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
