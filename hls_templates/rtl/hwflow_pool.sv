// Pooling: reduces POSITIONS pixels of CHANNELS elements to one, channel by channel.
//
// The pixels come one after the other, in the order in which hwflow_window emits them; for global
// pooling the module stands alone, with the image's size as POSITIONS.
//
//   MODE         0: the largest code, then one cast. 1: average,
//                    cast(q), q = trunc_toward_zero((sum << ACC_SHIFT) / POSITIONS), exact,
//                with q a code of IN_FRAC + ACC_SHIFT fraction bits
//   LANES        elements of a beat, input and output; it divides CHANNELS
//   ACC_W        average: bits of the accumulator that is modelled; it must hold the sum of POSITIONS
//                codes, so that the sum is exact (the hardware is as wide as that, not wider)
//   ACC_SHIFT    average: fraction bits by which that accumulator exceeds the input
//   IN_*, OUT_*, ROUNDING, OVERFLOW   as in hwflow_cast
//
// Timing: one beat in a cycle. A result leaves 3 (maximum) or 5 (average) cycles after the beat that
// completes it. s_tready depends on m_tready in the same cycle.

`default_nettype none

module hwflow_pool #(
    parameter int MODE       = 0,
    parameter int LANES      = 1,
    parameter int CHANNELS   = 1,
    parameter int POSITIONS  = 4,
    parameter int IN_W       = 16,
    parameter int IN_SIGNED  = 1,
    parameter int IN_FRAC    = 10,
    parameter int ACC_W      = 32,
    parameter int ACC_SHIFT  = 0,
    parameter int OUT_W      = 16,
    parameter int OUT_FRAC   = 10,
    parameter int OUT_SIGNED = 1,
    parameter int ROUNDING   = 0,
    parameter int OVERFLOW   = 0
) (
    input  wire                    clk_i,
    input  wire                    rst_ni,

    input  wire  [ LANES*IN_W-1:0] s_tdata,
    input  wire                    s_tvalid,
    output logic                   s_tready,

    output logic [LANES*OUT_W-1:0] m_tdata,
    output logic                   m_tvalid,
    input  wire                    m_tready
);

    localparam int AVERAGE = 1;
    localparam int BEATS   = CHANNELS / LANES;
    localparam int STATE_W = (MODE == AVERAGE) ? IN_W + $clog2(POSITIONS) : IN_W;  // holds any sum of codes
    localparam int BEAT_W  = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam int POS_W   = (POSITIONS > 1) ? $clog2(POSITIONS) : 1;

    if (MODE != 0 && MODE != AVERAGE) begin : gen_error_mode
        initial $fatal(1, "hwflow_pool: MODE (%0d) is 0 for maximum or 1 for average", MODE);
    end
    if (LANES < 1 || CHANNELS < 1 || POSITIONS < 1 || CHANNELS % LANES != 0) begin : gen_error_size
        initial $fatal(1, "hwflow_pool: LANES (%0d) must divide CHANNELS (%0d), POSITIONS (%0d) be positive",
                       LANES, CHANNELS, POSITIONS);
    end
    if (IN_SIGNED < 0 || IN_SIGNED > 1 || ACC_SHIFT < 0) begin : gen_error_type
        initial $fatal(1, "hwflow_pool: IN_SIGNED must be 0 or 1, ACC_SHIFT (%0d) not negative", ACC_SHIFT);
    end
    if (MODE == AVERAGE && ACC_W < STATE_W) begin : gen_error_acc
        initial $fatal(1, "hwflow_pool: ACC_W (%0d) holds not every sum of %0d codes: it takes %0d bits",
                       ACC_W, POSITIONS, STATE_W);
    end

    // --- Stage 1: the beat beside its channels' state so far.

    logic [BEAT_W-1:0] beat_reg;
    logic [POS_W-1:0] pos_reg;
    wire last_beat = beat_reg == BEAT_W'(BEATS - 1);
    wire last_pos  = pos_reg == POS_W'(POSITIONS - 1);

    logic [LANES*IN_W-1:0] x1_reg;
    logic valid1_reg, first1_reg, last1_reg;
    wire [LANES*STATE_W-1:0] state1;
    wire [LANES*STATE_W-1:0] state1_next;

    wire ready2;
    wire ready1 = ready2 || !last1_reg;
    wire fire1  = valid1_reg && ready1;
    wire accept = s_tvalid && s_tready;
    assign s_tready = ready1 || !valid1_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            beat_reg   <= '0;
            pos_reg    <= '0;
            valid1_reg <= 1'b0;
        end else begin
            if (accept) begin
                beat_reg <= last_beat ? '0 : beat_reg + 1'b1;
                if (last_beat) pos_reg <= last_pos ? '0 : pos_reg + 1'b1;
            end
            if (s_tready) valid1_reg <= s_tvalid;
        end
    end

    always_ff @(posedge clk_i) begin
        if (accept) begin
            x1_reg     <= s_tdata;
            first1_reg <= pos_reg == '0;
            last1_reg  <= last_pos;
        end
    end

    // The state of a channel is read when its beat comes in and written when that beat leaves stage 1:
    // with two beats a pixel or more, the same channels cannot come again in between.
    if (BEATS > 1) begin : gen_memory
        logic [LANES*STATE_W-1:0] state_mem [0:BEATS-1];
        logic [LANES*STATE_W-1:0] state_reg;
        logic [BEAT_W-1:0] beat1_reg;

        always_ff @(posedge clk_i) begin
            if (fire1) state_mem[beat1_reg] <= state1_next;
        end

        always_ff @(posedge clk_i) begin
            if (accept) begin
                state_reg <= state_mem[beat_reg];
                beat1_reg <= beat_reg;
            end
        end

        assign state1 = state_reg;
    end else begin : gen_register
        logic [LANES*STATE_W-1:0] state_reg;

        always_ff @(posedge clk_i) begin
            if (fire1) state_reg <= state1_next;
        end

        assign state1 = state_reg;
    end

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_reduce
        wire [IN_W-1:0] x = x1_reg[lane*IN_W+:IN_W];
        wire [STATE_W-1:0] state = state1[lane*STATE_W+:STATE_W];
        wire [STATE_W-1:0] reduced;

        if (MODE == AVERAGE) begin : gen_sum
            wire [STATE_W-1:0] extended;
            if (IN_SIGNED != 0) begin : gen_signed
                assign extended = STATE_W'($signed(x));
            end else begin : gen_unsigned
                assign extended = STATE_W'(x);
            end
            assign reduced = extended + (first1_reg ? '0 : state);
        end else begin : gen_max
            wire larger;
            if (IN_SIGNED != 0) begin : gen_signed
                assign larger = $signed(x) > $signed(state);
            end else begin : gen_unsigned
                assign larger = x > state;
            end
            assign reduced = (first1_reg || larger) ? x : state;
        end

        assign state1_next[lane*STATE_W+:STATE_W] = reduced;
    end

    // --- Stage 2: a finished state.

    logic valid2_reg;
    logic [LANES*STATE_W-1:0] state2_reg;
    wire ready_last;  // of the stage that holds `result`
    wire valid_last;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) valid2_reg <= 1'b0;
        else if (ready2) valid2_reg <= fire1 && last1_reg;
    end

    always_ff @(posedge clk_i) begin
        if (ready2 && fire1) state2_reg <= state1_next;
    end

    localparam int RESULT_W = (MODE == AVERAGE) ? IN_W + ACC_SHIFT : IN_W;
    wire [LANES*RESULT_W-1:0] result;

    if (MODE == AVERAGE) begin : gen_divide
        // Division of the magnitude by the constant POSITIONS = ODD * 2**TWOS. Powers of two common to
        // numerator and divisor cancel, so it is n * 2**GROW / ODD, with n the magnitude without its
        // DROP lowest bits (a floor of a floor is exact) and GROW or DROP 0.
        //
        // For 0 <= v < 2**V and L = ceil(log2(ODD)), floor(v / ODD) = floor(v * M / 2**(V+L)) with
        // M = ceil(2**(V+L) / ODD): M * ODD = 2**(V+L) + e, 0 <= e < ODD <= 2**L, so v * M / 2**(V+L)
        // exceeds v / ODD by v * e / (ODD * 2**(V+L)) < 1 / ODD, which takes it past no integer.
        // Here v = n * 2**GROW and V = N_W + GROW; the factor 2**GROW is taken out of the shift instead.
        // M < 2**(V+1), as ODD > 2**(L-1) and V >= L.
        localparam int TWOS = $clog2(POSITIONS & -POSITIONS);
        localparam int ODD  = POSITIONS >> TWOS;
        localparam int DROP = (TWOS > ACC_SHIFT) ? TWOS - ACC_SHIFT : 0;
        localparam int GROW = (ACC_SHIFT > TWOS) ? ACC_SHIFT - TWOS : 0;
        localparam int N_W  = STATE_W - DROP;

        logic valid3_reg, valid4_reg;
        logic [LANES-1:0] negative3_reg, negative4_reg;
        wire ready4 = ready_last || !valid4_reg;
        wire ready3 = ready4 || !valid3_reg;
        assign ready2 = ready3 || !valid2_reg;
        assign valid_last = valid4_reg;

        always_ff @(posedge clk_i) begin
            if (!rst_ni) begin
                valid3_reg <= 1'b0;
                valid4_reg <= 1'b0;
            end else begin
                if (ready3) valid3_reg <= valid2_reg;
                if (ready4) valid4_reg <= valid3_reg;
            end
        end

        for (genvar lane = 0; lane < LANES; lane++) begin : gen_lane
            wire [STATE_W-1:0] sum = state2_reg[lane*STATE_W+:STATE_W];
            wire negative = (IN_SIGNED != 0) && sum[STATE_W-1];
            wire [STATE_W-1:0] magnitude = negative ? -sum : sum;
            logic [N_W-1:0] n3_reg;  // stage 3
            wire [RESULT_W-1:0] quotient3;
            logic [RESULT_W-1:0] quotient4_reg;  // stage 4; no average exceeds the largest code

            if (ODD == 1) begin : gen_shift
                assign quotient3 = RESULT_W'(n3_reg) << GROW;
            end else begin : gen_multiply
                localparam int L = $clog2(ODD);
                localparam int V = N_W + GROW;
                localparam int M_W = V + 1;
                localparam logic [V+L:0] POWER = {1'b1, {(V + L) {1'b0}}};
                localparam logic [M_W-1:0] M = M_W'((POWER + (V+L+1)'(ODD - 1)) / (V+L+1)'(ODD));
                wire [N_W+M_W-1:0] product = (N_W+M_W)'(n3_reg) * (N_W+M_W)'(M);
                assign quotient3 = RESULT_W'(product >> (N_W + L));
            end

            always_ff @(posedge clk_i) begin
                if (ready3) begin
                    n3_reg <= N_W'(magnitude >> DROP);
                    negative3_reg[lane] <= negative;
                end
                if (ready4) begin
                    quotient4_reg <= quotient3;
                    negative4_reg[lane] <= negative3_reg[lane];
                end
            end

            assign result[lane*RESULT_W+:RESULT_W] = negative4_reg[lane] ? -quotient4_reg : quotient4_reg;
        end
    end else begin : gen_no_divide
        assign ready2 = ready_last || !valid2_reg;
        assign valid_last = valid2_reg;
        assign result = state2_reg;
    end

    // --- Output: one cast.

    wire [LANES*OUT_W-1:0] y;
    assign ready_last = m_tready || !m_tvalid;

    for (genvar lane = 0; lane < LANES; lane++) begin : gen_cast
        hwflow_cast #(
            .IN_W       (RESULT_W),
            .IN_FRAC    ((MODE == AVERAGE) ? IN_FRAC + ACC_SHIFT : IN_FRAC),
            .IN_SIGNED  (IN_SIGNED),
            .OUT_W      (OUT_W),
            .OUT_FRAC   (OUT_FRAC),
            .OUT_SIGNED (OUT_SIGNED),
            .ROUNDING   (ROUNDING),
            .OVERFLOW   (OVERFLOW)
        ) cast (
            .clk_i  (clk_i),
            .code_i (result[lane*RESULT_W+:RESULT_W]),
            .code_o (y[lane*OUT_W+:OUT_W])
        );
    end

    always_ff @(posedge clk_i) begin
        if (!rst_ni) m_tvalid <= 1'b0;
        else if (ready_last) m_tvalid <= valid_last;
    end

    always_ff @(posedge clk_i) begin
        if (ready_last && valid_last) m_tdata <= y;
    end

endmodule

`default_nettype wire
