// libtorch comes without gloo's headers, and with c10d's, which include them. These say of gloo's types what c10d's headers ask for,
// and no more: convnet makes nothing of it and calls one function, so that no layout of gloo's is relied on.
#pragma once
