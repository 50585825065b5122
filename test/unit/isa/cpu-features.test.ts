// What Linux tells of processors, as agents read it. The lines have the form of those of known machines, shortened to what is read.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseLevel, parseCpuFeatures, readCpuFeatures } from '../../../hardware/wasm/cpu-features.ts';
import { ISA_AUTO, ISA_LEVELS, knownFeatures, levelOf } from '../../../system/domain/isa.ts';
import { ARCHITECTURES, type Architecture } from '../../../system/domain/node.ts';

const EPYC = `processor	: 0
vendor_id	: AuthenticAMD
model name	: AMD EPYC 7763 64-Core Processor
flags		: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl tsc_reliable nonstop_tsc cpuid extd_apicid aperfmperf pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm cmp_legacy svm cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw topoext invpcid_single vmmcall fsgsbase bmi1 avx2 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb sha_ni xsaveopt xsavec xgetbv1 xsaves
bugs		: sysret_ss_attrs null_seg spectre_v1 spectre_v2
`;
/** QEMU's default x86-64 machine. */
const QEMU64 = `processor	: 0
model name	: QEMU Virtual CPU version 2.5+
flags		: fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 syscall nx lm nopl cpuid pni cx16 hypervisor lahf_lm svm 3dnowprefetch vmmcall
`;
/** A laptop of 2008, before SSE4.2 was common, and one of 2011 before AVX2. */
const PENRYN = 'flags\t\t: fpu sse sse2 ht syscall nx lm pni dtes64 monitor ds_cpl vmx est tm2 ssse3 cx16 xtpr pdcm sse4_1 lahf_lm\n';
const SANDY_BRIDGE = 'flags\t\t: fpu sse sse2 lm pni pclmulqdq ssse3 cx16 sse4_1 sse4_2 popcnt aes xsave avx lahf_lm\n';

const RASPBERRY_PI_4 = `processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd08
`;
const NEOVERSE_N1 = `processor	: 0
BogoMIPS	: 243.75
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer	: 0x41
CPU part	: 0xd0c
`;

const VISIONFIVE_2 = `processor	: 0
hart		: 1
isa		: rv64imafdc_zicntr_zicsr_zifencei_zihpm_zca_zcd_zba_zbb
mmu		: sv39
uarch		: sifive,u74-mc
`;
const SPACEMIT_K1 = `processor	: 0
hart		: 0
model name	: Spacemit(R) X60
isa		: rv64imafdcv_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zihpm_zfh_zfhmin_zca_zcd_zba_zbb_zbc_zbs_zkt_zve32f_zve32x_zve64d_zve64f_zve64x_zvfh_zvfhmin_zvkt_sscofpmf_sstc_svinval_svnapot_svpbmt
mmu		: sv39
`;
/** QEMU's `rv64` without vectors, from a kernel that adds a line for each hart. */
const QEMU_RV64 = `processor	: 0
hart		: 0
isa		: rv64imafdch_zicbom_zicboz_ziccrse_zicntr_zicsr_zifencei_zihintntl_zihintpause_zihpm_zawrs_zfa_zca_zcd_zba_zbb_zbc_zbs_sstc_svadu_svvptc
mmu		: sv57
hart isa	: rv64imafdcvh_zicbom_zba_zbb_zbc_zbs
`;

const levelNameOf = (architecture: Architecture, cpuinfo: string): string =>
  levelOf(architecture, parseCpuFeatures(architecture, cpuinfo)).name;

describe('features of a machine', () => {
  test('of x86-64 are found under the words of Linux', () => {
    expect(parseCpuFeatures('x86_64', EPYC)).toEqual(knownFeatures('x86_64'));
    expect(parseCpuFeatures('x86_64', QEMU64)).toEqual(['cmpxchg16b', 'sse3']);
    expect([EPYC, QEMU64, PENRYN, SANDY_BRIDGE].map((text) => levelNameOf('x86_64', text))).toEqual([
      'x86-64-v3',
      'x86-64',
      'x86-64',
      'x86-64-v2',
    ]);
  });

  test('of arm64 are found', () => {
    expect(parseCpuFeatures('aarch64', RASPBERRY_PI_4)).toEqual([]);
    expect(parseCpuFeatures('aarch64', NEOVERSE_N1)).toEqual(['lse']);
    expect([RASPBERRY_PI_4, NEOVERSE_N1].map((text) => levelNameOf('aarch64', text))).toEqual(['armv8-a', 'armv8.1-a']);
  });

  test('of riscv64 are letters and longer names, with or without versions', () => {
    expect([VISIONFIVE_2, SPACEMIT_K1, QEMU_RV64].map((text) => levelNameOf('riscv64', text))).toEqual(['rv64gc', 'rv64gcbv', 'rv64gcb']);
    expect(parseCpuFeatures('riscv64', VISIONFIVE_2)).toEqual(['zba', 'zbb']);
    expect(parseCpuFeatures('riscv64', 'isa\t: rv64i2p1m2p0a2p1f2p2d2p2c2p0v1p0_zba1p0_zbb1p0_zbs1p0\n')).toEqual([
      'v',
      'zba',
      'zbb',
      'zbs',
    ]);
    expect(parseCpuFeatures('riscv64', 'isa\t: rv64imafdcb\n')).toEqual(['zba', 'zbb', 'zbs']);
    // Part of a vector unit is not the extension.
    expect(parseCpuFeatures('riscv64', 'isa\t: rv64imafdc_zve64d_zvl128b\n')).toEqual([]);
  });

  test('are those that every processor has', () => {
    expect(levelNameOf('aarch64', `${NEOVERSE_N1}\n${RASPBERRY_PI_4}`)).toBe('armv8-a');
    expect(levelNameOf('x86_64', `${EPYC}\n${SANDY_BRIDGE}`)).toBe('x86-64-v2');
  });

  test('of another architecture, of no machine and of any other text are none that would be dangerous', () => {
    // qemu-user shows a guest the file of its host.
    expect(parseCpuFeatures('aarch64', EPYC)).toEqual([]);
    expect(parseCpuFeatures('riscv64', EPYC)).toEqual([]);
    for (const odd of [
      '',
      '\n',
      'flags',
      'flags:',
      'Features\t:',
      'isa : rv32imafdcv',
      'isa: rv64',
      'isa\t: rv64imafdc v zba',
      'flags : AVX2',
    ])
      for (const architecture of ARCHITECTURES) expect(parseCpuFeatures(architecture, odd)).toEqual([]);
    fc.assert(
      fc.property(fc.constantFrom(...ARCHITECTURES), fc.string({ unit: 'binary', maxLength: 400 }), (architecture, text) => {
        const known = knownFeatures(architecture);
        expect(parseCpuFeatures(architecture, text).every((feature) => known.includes(feature))).toBe(true);
      }),
    );
  });

  test('of this machine are among those that are known', () => {
    for (const architecture of ARCHITECTURES)
      expect(readCpuFeatures(architecture).every((feature) => knownFeatures(architecture).includes(feature))).toBe(true);
  });
});

describe('the setting of an agent', () => {
  const all = knownFeatures('x86_64');

  test('takes what the machine has, or less', () => {
    expect(chooseLevel('x86_64', all, ISA_AUTO)).toMatchObject({ ok: true, value: { level: { name: 'x86-64-v3' }, features: all } });
    const limited = chooseLevel('x86_64', all, 'x86-64-v2');
    expect(limited).toMatchObject({ ok: true, value: { level: ISA_LEVELS.x86_64[1], features: ISA_LEVELS.x86_64[1]?.features } });
    expect(chooseLevel('x86_64', ['avx2', 'sse3'], ISA_AUTO)).toMatchObject({ ok: true, value: { level: { name: 'x86-64' } } });
  });

  test('is refused above what the machine has, and for another architecture', () => {
    const above = chooseLevel('x86_64', ISA_LEVELS.x86_64[1]!.features, 'x86-64-v3');
    expect(above.ok ? 'ok' : above.error).toMatchObject({
      code: 'WM_ARGUMENT',
      message: expect.stringContaining('lacks avx, avx2, bmi1, bmi2, fma, lzcnt'),
      next: expect.stringContaining('at most x86-64-v2'),
    });
    const foreign = chooseLevel('aarch64', [], 'x86-64-v3');
    expect(foreign.ok ? 'ok' : foreign.error.next).toContain('armv8-a, armv8.1-a');
  });
});
