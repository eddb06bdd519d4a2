// How the process asks the system for memory.
#pragma once

namespace cfp {

/// Makes the allocator keep large blocks it is given back, instead of returning them to the kernel.
///
/// A forward pass frees and takes the same large tensors again and again; without this each of them
/// is mapped and zeroed page by page anew, up to half of the time of a pass. To be called once, at
/// the start of main(). Does nothing where the C library is not glibc.
void keep_freed_memory();

}  // namespace cfp
